"""The forecaster carries a model from training to serving: features, scaler, estimator, shrinkage, interval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import DataError
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.base import Model
from cryptoml.models.scaling import fit_scaler, load_scaler, save_scaler, scale
from cryptoml.models.zoo import get_model

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class FittedParts:
    """What a fit gives: the scaler (None without scaling), the estimator, the clip bound in log return."""

    spec: Model[Any]
    scaler: Any
    estimator: Any
    clip: float
    implementation: str

    def raw_return(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Unshrunk forecasts of log return, one a row; X has no NaN."""
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
    """Fit scaler and estimator on these rows alone; targets are clipped at clip_sigma of their deviation.

    X: (rows, features), float32, no NaN; y: log returns. One thread, so that the digits depend on nothing else.
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
    """Everything from candles on the grid to a forecast.

    shrinkage: share of the raw forecast that is believed; interval_quantile: half-width of the interval in log
    return, which covers `interval_level` of outcomes; clip: bound of the training targets in log return;
    unseen_from: the first open time (ISO, UTC) of candles that had no part in fitting it.
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
    interval_quantile: float
    interval_level: float
    unseen_from: str = ""

    def raw_return(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Unshrunk forecasts of log return, one a row."""
        return get_model(self.model_type).predict(self.estimator, scale(self.scaler, X))

    def forecast(self, grid: pd.DataFrame, *, newest: int | None = None) -> pd.DataFrame:
        """Forecasts at every row of a grid of candles, or at the `newest` ones; NaN where a feature is missing.

        Columns forecast_return (log), forecast_price, lower_price, upper_price; index as given.
        """
        import numpy as np
        import pandas as pd

        features = self.pipeline.transform(grid).to_numpy()
        if newest is not None:
            grid, features = grid.iloc[-newest:], features[-newest:]
        known = ~np.isnan(features).any(axis=1)
        forecast = np.full(len(features), np.nan)
        if known.any():
            forecast[known] = self.shrinkage * self.raw_return(np.ascontiguousarray(features[known]))
        close = grid["close"].to_numpy()
        return pd.DataFrame(
            {
                "forecast_return": forecast,
                "forecast_price": close * np.exp(forecast),
                "lower_price": close * np.exp(forecast - self.interval_quantile),
                "upper_price": close * np.exp(forecast + self.interval_quantile),
            },
            index=grid.index,
        )

    def feature_importance(self) -> pd.Series[float] | None:
        """Importance by feature name, summing to 1, or None where the model has none; its module says of what kind."""
        import numpy as np
        import pandas as pd

        weights = get_model(self.model_type).importance(self.estimator)
        total = 0.0 if weights is None else float(np.sum(weights))
        if weights is None or total <= 0:
            return None
        return pd.Series(weights / total, index=list(self.pipeline.feature_names), name="importance")

    def save(self, folder: Path) -> None:
        """Write the forecaster as files that no code runs from: JSON, and the format of the model's storage."""
        from cryptoml.models.storage.description import FORMAT

        folder.mkdir(parents=True, exist_ok=True)
        about = {
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
            "interval_quantile": self.interval_quantile,
            "interval_level": self.interval_level,
            "unseen_from": self.unseen_from,
            "feature_names": list(self.pipeline.feature_names),
        }
        (folder / "forecaster.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        save_scaler(self.scaler, folder)
        get_model(self.model_type).storage.save(self.estimator, folder)


def load_forecaster(folder: Path) -> Forecaster:
    """Read what `save` wrote, running no code that the files name.

    Raises DataError for files that are damaged or no forecaster, AccessError for those that ask for foreign code.
    """
    from cryptoml.models.storage.description import read_facts

    facts = read_facts(folder)
    n_features = len(facts.pipeline.feature_names)
    estimator = get_model(facts.model_type).storage.load(folder, facts.implementation, n_features)
    forecaster = Forecaster(
        **{one.name: getattr(facts, one.name) for one in fields(facts)},
        scaler=load_scaler(folder, n_features),
        estimator=estimator,
    )
    _check_one_forecast(folder, forecaster, n_features)
    return forecaster


def _check_one_forecast(folder: Path, forecaster: Forecaster, n_features: int) -> None:
    """Make one forecast of features that are all 0; raises DataError unless it is one finite number."""
    import numpy as np

    from cryptoml.models.storage.archive import FETCH_AGAIN
    from cryptoml.models.storage.load_errors import LIBRARY_ERRORS, brief

    try:
        forecast = np.asarray(forecaster.raw_return(np.zeros((1, n_features), dtype=np.float32)), dtype=np.float64)
        sound = forecast.shape == (1,) and bool(np.isfinite(forecast).all())
        problem = "" if sound else f"it is {str(forecast)[:100]}"
    except LIBRARY_ERRORS as error:
        problem = brief(error)
    if problem:
        raise DataError(f"{folder}: the model makes no forecast: {problem}.", hint=FETCH_AGAIN)
