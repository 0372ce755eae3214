"""The feature pipeline, which is saved with the model, and the target that models forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cryptoml.data.interval import parse_interval
from cryptoml.errors import ConfigError, DataError
from cryptoml.features.library import FEATURES, LIBRARY_VERSION, FeatureSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.config.schema import FeaturesSection

DEFAULT_LAG_WINDOWS = (1, 2, 3, 6, 12, 24)
DEFAULT_ROLLING_WINDOWS = (6, 24, 72, 168)

# Rows per block: small enough for the working arrays to fit into the processor's cache.
_BLOCK_ROWS = 16_384


@dataclass(frozen=True)
class FeaturePipeline:
    """Features to compute, with their windows (in candles) and the candle interval.

    Features that are constant at the interval (the hour, on daily candles) are omitted. Raises ConfigError for an
    unknown feature, an invalid window, or if no column remains.
    """

    features: tuple[str, ...] = tuple(FEATURES)
    lag_windows: tuple[int, ...] = DEFAULT_LAG_WINDOWS
    rolling_windows: tuple[int, ...] = DEFAULT_ROLLING_WINDOWS
    interval: str = "1h"

    def __post_init__(self) -> None:
        for name in self.features:
            if name not in FEATURES:
                near = get_close_matches(name, FEATURES, n=1)
                hint = f"use {near[0]}" if near else f"choose from {', '.join(FEATURES)}"
                raise ConfigError(f"Unknown feature {name!r}.", hint=f"{hint}.")
        _reject_duplicates("features", self.features)
        _check_windows("lag_windows", self.lag_windows, least=1)
        _check_windows("rolling_windows", self.rolling_windows, least=2)
        if not self._columns:
            raise ConfigError(
                f"No feature remains for candles of {self.interval}.",
                hint="add other features to features.include.",
            )

    @cached_property
    def _interval_s(self) -> int:
        seconds: int = parse_interval(self.interval).seconds
        return seconds

    @cached_property
    def _columns(self) -> tuple[tuple[FeatureSpec, int], ...]:
        windows = {"lag": self.lag_windows, "rolling": self.rolling_windows, "fixed": (0,)}
        specs = [FEATURES[name] for name in self.features]
        return tuple((spec, window) for spec in specs if spec.fits(self._interval_s) for window in windows[spec.family])

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Column names, in the order in which `transform` returns them."""
        return tuple(spec.column(window) for spec, window in self._columns)

    @cached_property
    def warmup_candles(self) -> int:
        """Number of consecutive grid rows needed for the last one to have no NaN."""
        return max(spec.lookback(window) for spec, window in self._columns)

    def transform(self, grid: pd.DataFrame) -> pd.DataFrame:
        """Compute the features of every row of the regular grid, as returned by `cryptoml.data.grid.to_grid`.

        Returns float32 with the index of `grid` and the columns `feature_names`. A value is NaN if its lookback
        starts before the first row or contains a break; all other values are finite. Earlier candles do not change a
        single bit of a value, so the last `warmup_candles` rows are sufficient for a prediction. Raises DataError if
        the rows are not one interval apart.
        """
        import numpy as np
        import pandas as pd

        opened_s = _seconds(grid)
        self._check_steps(opened_s, grid.index)
        series = {name: grid[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close", "volume")}
        out = np.empty((len(self._columns), len(grid)), dtype=np.float32)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            for start in range(0, len(grid), _BLOCK_ROWS):
                self._fill(out, series, opened_s, start)
        return pd.DataFrame(out.T, index=grid.index, columns=list(self.feature_names), copy=False)

    def _fill(
        self,
        out: NDArray[np.float32],
        series: dict[str, NDArray[np.float64]],
        opened_s: NDArray[np.int64],
        start: int,
    ) -> None:
        """Compute the block of rows that begins at `start`, from its rows and the history before them."""
        import numpy as np

        from cryptoml.features.bars import Bars

        first = max(start - self.warmup_candles + 1, 0)
        stop = min(start + _BLOCK_ROWS, out.shape[1])
        bars = Bars(
            opened_s=opened_s[first:stop],
            **{name: values[first:stop] for name, values in series.items()},
        )
        run = bars.run[start - first :]
        short = {lookback: run < lookback for lookback in {s.lookback(w) for s, w in self._columns}}
        for row, (spec, window) in enumerate(self._columns):
            column = out[row, start:stop]
            column[:] = spec.compute(bars, window)[start - first :]
            column[short[spec.lookback(window)]] = np.nan

    def _check_steps(self, opened_s: NDArray[np.int64], index: pd.Index) -> None:
        import numpy as np

        steps = np.diff(opened_s)
        wrong = steps != self._interval_s
        if wrong.any():
            at = int(np.argmax(wrong))
            raise DataError(
                f"Features need rows {self.interval} apart, but the row of {index[at + 1]:%Y-%m-%d %H:%M} is "
                f"{int(steps[at]):,} s after the previous one (irregular steps: {int(wrong.sum()):,}).",
                hint="reindex the candles with cryptoml.data.grid.to_grid.",
            )

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types, for `from_dict`."""
        return {
            "library_version": LIBRARY_VERSION,
            "features": list(self.features),
            "lag_windows": list(self.lag_windows),
            "rolling_windows": list(self.rolling_windows),
            "interval": self.interval,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> FeaturePipeline:
        """Restore the pipeline from `to_dict`; raises DataError if the feature definitions have changed since."""
        version = stored.get("library_version")
        if version != LIBRARY_VERSION:
            raise DataError(
                f"The stored pipeline has feature library version {version}; this cryptoml has {LIBRARY_VERSION}.",
                hint="use the version of cryptoml that trained the model, or train it again.",
            )
        missing = [name for name in ("features", "lag_windows", "rolling_windows", "interval") if name not in stored]
        if missing:
            raise DataError(f"The stored pipeline has no {', '.join(missing)}.", hint="train the model again.")
        return cls(
            features=tuple(stored["features"]),
            lag_windows=tuple(stored["lag_windows"]),
            rolling_windows=tuple(stored["rolling_windows"]),
            interval=stored["interval"],
        )


def log_return_target(grid: pd.DataFrame, horizon: int) -> pd.Series[float]:
    """Return the log return over the next `horizon` rows: `log(close[t+h] / close[t])` at t.

    float64 with the index of `grid`, named `log_return_target`. NaN in the last `horizon` rows, and if either close
    is missing. Raises ConfigError for a horizon below 1.
    """
    import numpy as np
    import pandas as pd

    if horizon < 1:
        raise ConfigError(f"The horizon is {horizon} candles.", hint="use a horizon of 1 or more.")
    close = grid["close"].to_numpy(dtype=np.float64)
    target = np.full(close.size, np.nan)
    target[:-horizon] = np.log(close[horizon:] / close[:-horizon])
    return pd.Series(target, index=grid.index, name="log_return_target")


def _seconds(grid: pd.DataFrame) -> NDArray[np.int64]:
    import pandas as pd

    index = grid.index
    if not isinstance(index, pd.DatetimeIndex):
        raise DataError(
            f"Features need candles indexed by open time, not by {type(index).__name__}.",
            hint="read them with cryptoml.data.candles.read_candles.",
        )
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[index.unit]
    ticks: NDArray[np.int64] = index.astype("int64").to_numpy()
    return ticks // per_second


def _reject_duplicates(option: str, values: Sequence[object]) -> None:
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise ConfigError(f"{option} contains {', '.join(repeated)} more than once.", hint="remove the duplicates.")


def configured_pipeline(config: FeaturesSection, interval: str) -> FeaturePipeline:
    """Return the pipeline of a config for a candle interval; all features if none is chosen. Raises ConfigError."""
    return FeaturePipeline(
        features=tuple(config.include or FEATURES),
        lag_windows=config.lag_windows,
        rolling_windows=config.rolling_windows,
        interval=interval,
    )


def _check_windows(option: str, windows: Sequence[int], *, least: int) -> None:
    for window in windows:
        if isinstance(window, bool) or not isinstance(window, int) or window < least:
            raise ConfigError(f"{option} contains {window!r}.", hint=f"use whole numbers of candles, at least {least}.")
    _reject_duplicates(option, windows)
