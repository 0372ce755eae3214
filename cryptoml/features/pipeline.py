"""The chosen features as one object that is saved with the model, and the target they are to forecast."""

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

DEFAULT_LAG_WINDOWS = (1, 2, 3, 6, 12, 24)
DEFAULT_ROLLING_WINDOWS = (6, 24, 72, 168)

# Rows computed at a time: small enough for the arrays in hand to stay in the processor's cache.
_BLOCK_ROWS = 16_384


@dataclass(frozen=True)
class FeaturePipeline:
    """Which features are computed, over which windows (in candles), on candles of which interval.

    Features that stand still at the interval (the hour, on daily candles) are left out.
    Raises ConfigError for an unknown feature, an unusable window, or when no column is left.
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
                raise ConfigError(f"There is no feature {name!r}.", hint=f"{hint}.")
        _refuse_repeats("features", self.features)
        _check_windows("lag_windows", self.lag_windows, least=1)
        _check_windows("rolling_windows", self.rolling_windows, least=2)
        if not self._columns:
            raise ConfigError(
                f"No feature is left to compute on candles of {self.interval}.",
                hint="choose more features in features.include.",
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
        """Column names, in the order of `transform`."""
        return tuple(spec.column(window) for spec, window in self._columns)

    @cached_property
    def warmup_candles(self) -> int:
        """Grid rows, without a break, that the last of them needs to be complete."""
        return max(spec.lookback(window) for spec, window in self._columns)

    def transform(self, grid: pd.DataFrame) -> pd.DataFrame:
        """Features of every row of the regular grid that `cryptoml.data.grid.to_grid` gives.

        float32, index as given, one column for each of `feature_names`. A value is NaN where the candles it
        depends on reach before the first row or touch a break, and finite everywhere else. It has the same
        bits whatever comes before those candles, so the last `warmup_candles` rows are enough to serve.
        Raises DataError when the rows are not one interval apart.
        """
        import numpy as np
        import pandas as pd

        opened_s = _seconds(grid)
        self._refuse_other_steps(opened_s, grid.index)
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
        """Compute the rows of the block that begins at `start`, from it and the history it depends on."""
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

    def _refuse_other_steps(self, opened_s: NDArray[np.int64], index: pd.Index) -> None:
        import numpy as np

        steps = np.diff(opened_s)
        wrong = steps != self._interval_s
        if wrong.any():
            at = int(np.argmax(wrong))
            raise DataError(
                f"Features need rows {self.interval} apart; the one of {index[at + 1]:%Y-%m-%d %H:%M} comes "
                f"{int(steps[at])} s after the one before ({int(wrong.sum())} such steps).",
                hint="put the candles on the regular grid of the model's interval.",
            )

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` needs, as JSON can hold it."""
        return {
            "library_version": LIBRARY_VERSION,
            "features": list(self.features),
            "lag_windows": list(self.lag_windows),
            "rolling_windows": list(self.rolling_windows),
            "interval": self.interval,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> FeaturePipeline:
        """The pipeline that `to_dict` described; DataError when features have been redefined since."""
        version = stored.get("library_version")
        if version != LIBRARY_VERSION:
            raise DataError(
                f"The stored features are of library version {version}, this cryptoml has {LIBRARY_VERSION}.",
                hint="use the cryptoml that the model was trained with, or train again.",
            )
        missing = [name for name in ("features", "lag_windows", "rolling_windows", "interval") if name not in stored]
        if missing:
            raise DataError(f"The stored features lack {', '.join(missing)}.", hint="train the model again.")
        return cls(
            features=tuple(stored["features"]),
            lag_windows=tuple(stored["lag_windows"]),
            rolling_windows=tuple(stored["rolling_windows"]),
            interval=stored["interval"],
        )


def log_return_target(grid: pd.DataFrame, horizon: int) -> pd.Series[float]:
    """Log return from each row's close to the close `horizon` rows later: `log(close[t+h] / close[t])` at t.

    float64, index as given, named `log_return_target`. NaN in the last `horizon` rows, and where either
    close is missing. Raises ConfigError for a horizon below 1.
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
            hint="read them with cryptoml.data.candles.",
        )
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[index.unit]
    ticks: NDArray[np.int64] = index.astype("int64").to_numpy()
    return ticks // per_second


def _refuse_repeats(what: str, values: Sequence[object]) -> None:
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise ConfigError(f"{what} names {', '.join(repeated)} more than once.", hint="name each once.")


def _check_windows(what: str, windows: Sequence[int], *, least: int) -> None:
    for window in windows:
        if isinstance(window, bool) or not isinstance(window, int) or window < least:
            raise ConfigError(f"{what} holds {window!r}.", hint=f"use whole numbers of candles from {least} up.")
    _refuse_repeats(what, windows)
