"""The forecaster: a fitted model with its features, scaler, shrinkage and prediction interval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import DataError
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.base import Model
from cryptoml.models.interval import UP, ConstantInterval, Interval
from cryptoml.models.scaling import describe_scaler, fit_scaler, load_scaler, restore_scaler, scale
from cryptoml.models.zoo import get_model

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class FittedParts:
    """The result of a fit. scaler: None without scaling; clip: bound of the training targets, in log return."""

    spec: Model[Any]
    scaler: Any
    estimator: Any
    clip: float
    implementation: str

    def raw_return(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return forecasts of the log return before shrinkage, one per row; X has no NaN."""
        return self.spec.predict(self.estimator, scale(self.scaler, X))


def fit(
    spec: Model[Any],
    params: Mapping[str, object],
    *,
    seed: int,
    X: NDArray[np.float32],
    y: NDArray[np.float64],
    scaling_method: str,
    clip_sigma: float,
) -> FittedParts:
    """Fit scaler and estimator on these rows, with targets clipped at `clip_sigma` standard deviations.

    X: (rows, features), float32, no NaN; y: log returns. Uses a single thread, so that results are reproducible.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    clip = float(clip_sigma * np.std(y))
    target = np.clip(y, -clip, clip) if clip > 0 else y
    parameters = spec.read(params)
    implementation = spec.implementation(parameters, len(y))
    with threadpool_limits(limits=1):
        scaler = fit_scaler(scaling_method, X)
        estimator = spec.fit(parameters, scale(scaler, X), target, seed=seed, implementation=implementation)
    return FittedParts(spec, scaler, estimator, clip, implementation)


@dataclass(frozen=True)
class Forecaster:
    """Computes forecasts from candles on the grid.

    shrinkage: factor of the raw forecast. interval: computes the prediction intervals. markets: the symbols of a pooled
    model, whose `symbol` is POOL, else empty. clip: bound of the training targets in log return. unseen_from: open time
    (ISO, UTC) of the first candle that was not used for fitting. further: the same model at further horizons.
    """

    model_type: str
    implementation: str
    params: Mapping[str, object]
    pipeline: FeaturePipeline
    horizon: int
    symbol: str
    max_no_trade_candles: int
    scaler: Any
    estimator: Any
    clip: float
    shrinkage: float
    interval: Interval
    unseen_from: str = ""
    markets: tuple[str, ...] = ()
    further: tuple[Forecaster, ...] = ()

    @property
    def is_pooled(self) -> bool:
        """Whether the model was trained on several markets; it forecasts any market."""
        return bool(self.markets)

    @property
    def by_horizon(self) -> dict[int, Forecaster]:
        """The forecasters of all horizons, in candles, the main one first."""
        return {one.horizon: one for one in (self, *self.further)}

    @property
    def interval_level(self) -> float:
        """The nominal coverage of the interval between lower_price and upper_price."""
        return self.interval.level

    @property
    def useful_candles(self) -> int:
        """Number of candles that a forecast depends on: the warm-up, and outcomes that improve the interval."""
        return self.pipeline.warmup_candles + max(one.interval.history(one.horizon) for one in (self, *self.further))

    def raw_return(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return forecasts of the log return before shrinkage, one per row."""
        return get_model(self.model_type).predict(self.estimator, scale(self.scaler, X))

    def forecast(
        self, grid: pd.DataFrame, *, newest: int | None = None, symbol: str = "", move: float | None = None
    ) -> pd.DataFrame:
        """Forecast from each row of a grid of candles, or from the `newest` latest rows.

        symbol: the market of the candles, whose prediction interval a pooled model uses; for a market that was not in
        the pool, it uses the interval of all markets together.
        Returns, with the index of the grid: forecast_return (log), forecast_price, lower_price and upper_price; for
        each other level of the interval, such as 50 %, lower_price_50 and upper_price_50; probability_up, of a higher
        close at the target time; with `move`, a share of the price, probability_rise and probability_fall, of a rise
        and a fall by more than it. Models saved with an interval of constant width have no probabilities. NaN if a
        feature is missing.
        """
        import numpy as np
        import pandas as pd

        newest = len(grid) if newest is None else newest
        used = newest + self.interval.history(self.horizon)
        features = self.pipeline.transform(grid).to_numpy()[-used:]
        complete = ~np.isnan(features).any(axis=1)
        # Of earlier rows, only those whose outcome is new to the interval are needed.
        opened_s = grid.index[-used:-newest].to_numpy(dtype="datetime64[s]").astype(np.int64)
        complete[:-newest] &= opened_s > self.interval.scored_until(symbol or self.symbol)
        raw = np.full(len(features), np.nan)
        if complete.any():
            raw[complete] = self.shrinkage * self.raw_return(np.ascontiguousarray(features[complete]))
        bounds = self.interval.bounds(grid, raw, self.horizon, newest=newest, symbol=symbol or self.symbol, move=move)
        grid, forecast = grid.iloc[-newest:], raw[-newest:]
        close = grid["close"].to_numpy()
        columns = {"forecast_return": forecast, "forecast_price": close * np.exp(forecast)}
        for place, level in enumerate(self.interval.levels):
            for name, offset in zip(self._bound_names(level), (bounds.lower, bounds.upper), strict=True):
                columns[name] = close * np.exp(forecast + offset[:, place])
        columns |= bounds.probabilities
        names = [*self.output_columns, *(name for name in columns if name not in self.output_columns)]
        return pd.DataFrame({name: columns[name] for name in names}, index=grid.index, copy=False)

    @property
    def output_columns(self) -> tuple[str, ...]:
        """The columns of `forecast` without `move`."""
        others = [level for level in self.interval.levels if level != self.interval_level]
        bounds = [name for level in (self.interval_level, *others) for name in self._bound_names(level)]
        probability = () if isinstance(self.interval, ConstantInterval) else (UP,)
        return ("forecast_return", "forecast_price", *bounds, *probability)

    @property
    def served_columns(self) -> tuple[str, ...]:
        """The columns of the served model: those of a further horizon have its number as a suffix."""
        further = [f"{name}_h{one.horizon}" for one in self.further for name in one.output_columns]
        return (*self.output_columns, *further)

    def _bound_names(self, level: float) -> tuple[str, str]:
        suffix = "" if level == self.interval_level else f"_{100 * level:g}"
        return f"lower_price{suffix}", f"upper_price{suffix}"

    def feature_importance(self) -> pd.Series[float] | None:
        """Return the importance by feature name, with sum 1, or None; the model's module defines it."""
        import numpy as np
        import pandas as pd

        weights = get_model(self.model_type).importance(self.estimator)
        total = 0.0 if weights is None else float(np.sum(weights))
        if weights is None or total <= 0:
            return None
        return pd.Series(weights / total, index=list(self.pipeline.feature_names), name="importance")

    def save(self, folder: Path) -> None:
        """Save the forecaster in files that cannot contain code: JSON and the format of the model's storage."""
        from cryptoml.models.storage.description import FORMAT
        from cryptoml.models.storage.intervals import describe_interval

        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "format": FORMAT,
            "model_type": self.model_type,
            "implementation": self.implementation,
            "params": dict(self.params),
            "pipeline": self.pipeline.to_dict(),
            "horizon": self.horizon,
            "symbol": self.symbol,
            "max_no_trade_candles": self.max_no_trade_candles,
            "clip": self.clip,
            "shrinkage": self.shrinkage,
            "unseen_from": self.unseen_from,
            "markets": list(self.markets),
            "further_horizons": [one.horizon for one in self.further],
            "scaler": describe_scaler(self.scaler),
            "interval": describe_interval(self.interval),
            "feature_names": list(self.pipeline.feature_names),
        }
        (folder / "forecaster.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        get_model(self.model_type).storage.save(self.estimator, folder)
        for one in self.further:
            one.save(folder / further_folder(one.horizon))


def load_forecaster(folder: Path) -> Forecaster:
    """Load a saved forecaster without running code from its files.

    Raises DataError for files that are damaged or not a forecaster, AccessError for files that refer to untrusted code.
    """
    from cryptoml.models.storage.description import SCALER_IN_FILE, read_description

    description, stored_scaler, horizons = read_description(folder)
    n_features = len(description.pipeline.feature_names)
    estimator = get_model(description.model_type).storage.load(folder, description.implementation, n_features)
    in_file = stored_scaler == SCALER_IN_FILE
    forecaster = Forecaster(
        **{one.name: getattr(description, one.name) for one in fields(description)},
        scaler=load_scaler(folder, n_features) if in_file else restore_scaler(folder, stored_scaler, n_features),
        estimator=estimator,
    )
    _check_one_forecast(folder, forecaster, n_features)
    return replace(forecaster, further=tuple(_load_further(folder, horizon) for horizon in horizons))


def _load_further(folder: Path, horizon: int) -> Forecaster:
    found = load_forecaster(folder / further_folder(horizon))
    if found.horizon != horizon or found.further:
        from cryptoml.models.storage.archive import FETCH_AGAIN

        raise DataError(f"{folder / further_folder(horizon)}: has another horizon.", hint=FETCH_AGAIN)
    return found


def further_folder(horizon: int) -> str:
    """Return the name of the folder of a further horizon."""
    return f"horizon_{horizon}"


def _check_one_forecast(folder: Path, forecaster: Forecaster, n_features: int) -> None:
    """Raise DataError unless the forecast for features that are all 0 is a finite number."""
    import numpy as np

    from cryptoml.models.storage.archive import FETCH_AGAIN
    from cryptoml.models.storage.load_errors import LIBRARY_ERRORS, short_message

    try:
        forecast = np.asarray(forecaster.raw_return(np.zeros((1, n_features), dtype=np.float32)), dtype=np.float64)
        is_valid = forecast.shape == (1,) and bool(np.isfinite(forecast).all())
        problem = "" if is_valid else f"the forecast is {str(forecast)[:100]}"
    except LIBRARY_ERRORS as error:
        problem = short_message(error)
    if problem:
        raise DataError(f"{folder}: the model cannot forecast: {problem}.", hint=FETCH_AGAIN)
