"""The forecaster carries a model from training to serving: features, scaler, estimator, shrinkage, interval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.zoo import SCALER, SCALER_TYPES, ModelSpec, get_model

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from threadpoolctl import ThreadpoolController


@dataclass(frozen=True)
class FittedParts:
    """What a fit gives: the scaler (None without scaling), the estimator, the clip bound in log return."""

    spec: ModelSpec
    scaler: Any
    estimator: Any
    clip: float
    implementation: str

    def raw_return(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Unshrunk forecasts of log return, one a row; X has no NaN."""
        return raw_return(self.spec, self.scaler, self.estimator, X)


def fit(
    spec: ModelSpec,
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
    implementation = spec.implementation(params, len(y))
    estimator = spec.make(params, seed, implementation, len(y))
    with threadpool_limits(limits=1):
        scaler = None
        if scaling_method == "standard":
            from sklearn.preprocessing import StandardScaler

            scaler = StandardScaler().fit(X)
            X = scaler.transform(X)
        if implementation == "sklearnex":
            from cryptoml.models.forest import fit_accelerated

            fit_accelerated(estimator, X, target)
        else:
            estimator.fit(X, target)
    return FittedParts(spec, scaler, estimator, clip, implementation)


def raw_return(spec: ModelSpec, scaler: Any, estimator: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Unshrunk forecasts, single-threaded and summed in a fixed order."""
    import numpy as np

    scaled = X if scaler is None else scaler.transform(X)
    if spec.key == "rf":
        # Tree by tree: the forest's own predict adds up in the order its threads finish, and is slow for a row.
        rows = np.ascontiguousarray(scaled, dtype=np.float32)
        total = np.zeros(len(rows))
        for tree in estimator.estimators_:
            total += tree.tree_.predict(rows)[:, 0]
        return total / len(estimator.estimators_)
    with _thread_pools(spec.key).limit(limits=1):
        return np.asarray(estimator.predict(scaled), dtype=np.float64)


@cache
def _thread_pools(model_type: str) -> ThreadpoolController:
    """The thread pools there are once an estimator of that type is; finding them takes longer than a forecast."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


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
        return raw_return(get_model(self.model_type), self.scaler, self.estimator, X)

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
        """Importance by feature name, summing to 1, or None where the model has none.

        Impurity for forests and exact boosting, gain for histogram boosting and XGBoost, |coefficient| on scaled
        features for ridge.
        """
        import numpy as np
        import pandas as pd

        names = self.pipeline.feature_names
        if hasattr(self.estimator, "coef_"):
            weights = np.abs(np.ravel(self.estimator.coef_))
        elif self.model_type == "persistence":
            return None
        elif self.implementation == "hist" and self.model_type == "gbm":
            weights = np.zeros(len(names))
            for stage in self.estimator._predictors:
                nodes = stage[0].nodes
                inner = nodes["is_leaf"] == 0
                np.add.at(weights, nodes["feature_idx"][inner], nodes["gain"][inner])
        elif self.model_type == "rf":
            weights = np.mean([tree.tree_.compute_feature_importances() for tree in self.estimator.estimators_], axis=0)
        else:
            weights = np.asarray(self.estimator.feature_importances_, dtype=np.float64)
        total = float(np.sum(weights))
        if total <= 0:
            return None
        return pd.Series(weights / total, index=list(names), name="importance")

    def save(self, folder: Path) -> None:
        """Write the forecaster as files that no code runs from: JSON, skops, XGBoost's own format."""
        import zipfile

        import skops.io

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
        packed = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 6}
        if self.scaler is not None:
            skops.io.dump(self.scaler, folder / "scaler.skops", **packed)
        if get_model(self.model_type).storage == "xgboost":
            self.estimator.save_model(folder / "estimator.ubj")
        else:
            skops.io.dump(self.estimator, folder / "estimator.skops", **packed)


def load_forecaster(folder: Path) -> Forecaster:
    """Read what `save` wrote, running no code that the files name.

    Raises DataError for files that are damaged or no forecaster, AccessError for those that ask for foreign code.
    """
    from cryptoml.models.storage.description import read_facts
    from cryptoml.models.storage.parts import check_one_forecast, load_booster, load_skops

    facts = read_facts(folder)
    spec, n_features = get_model(facts.model_type), len(facts.pipeline.feature_names)
    if spec.storage == "xgboost":
        estimator = load_booster(folder / "estimator.ubj", n_features)
    else:
        expected = spec.estimators[facts.implementation]
        estimator = load_skops(folder / "estimator.skops", expected, spec.stored_types, n_features)
    scaler_path, scaler = folder / "scaler.skops", None
    if scaler_path.is_symlink() or scaler_path.exists():
        scaler = load_skops(scaler_path, SCALER, SCALER_TYPES, n_features)
    forecaster = Forecaster(
        **{one.name: getattr(facts, one.name) for one in fields(facts)}, scaler=scaler, estimator=estimator
    )
    check_one_forecast(folder, forecaster.raw_return, n_features)
    return forecaster
