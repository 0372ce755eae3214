"""XGBoost. Returns are mostly noise, so the defaults are a low learning rate, few rounds and large leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from cryptoml.config.parameters import Parameters
from cryptoml.errors import ConfigError
from cryptoml.models.base import Model, Range
from cryptoml.models.storage.boosters import OBJECTIVE, read_booster
from cryptoml.models.storage.load_errors import translate_load_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FILE = "estimator.ubj"


class XgboostParameters(Parameters):
    """Hyperparameters of XGBoost."""

    n_estimators: int = Field(
        100, ge=1, le=10_000, description="boosting rounds; more rounds fit the training data more closely"
    )
    learning_rate: float = Field(
        0.03, ge=1e-4, le=1.0, description="weight of each round; lower values need more rounds"
    )
    max_depth: int = Field(3, ge=1, le=16, description="maximum depth of a tree, and order of feature interactions")
    min_child_weight: float = Field(
        200.0, ge=0.0, le=1e6, description="minimum rows per leaf; higher values are smoother"
    )
    subsample: float = Field(0.5, ge=0.01, le=1.0, description="share of rows per round")
    colsample_bytree: float = Field(0.3, ge=0.01, le=1.0, description="share of features per round")
    reg_lambda: float = Field(10.0, ge=0.0, le=1e6, description="shrinks leaf values towards zero")
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="where trees are grown; cuda: an NVIDIA GPU, whose last digits differ from those of a CPU"
    )


def check_device(params: XgboostParameters) -> None:
    """Raise ConfigError if there is no GPU for the device cuda; XGBoost itself would silently use the CPU."""
    if params.device == "cpu":
        return
    import json

    import numpy as np
    from xgboost import XGBRegressor
    from xgboost.core import XGBoostError

    try:
        estimator = XGBRegressor(n_estimators=1, device=params.device, verbosity=0, n_jobs=1)
        estimator.fit(np.zeros((2, 1), dtype=np.float32), np.zeros(2))
        config = json.loads(estimator.get_booster().save_config())
        device = config["learner"]["generic_param"]["device"]
    except XGBoostError as error:
        device = str(error).strip().splitlines()[0][:200]
    if not device.startswith(params.device):
        raise ConfigError(
            f"models.xgb.device is {params.device}, but XGBoost finds no usable GPU here ({device}).",
            hint="use the CPU: --device cpu",
        )


def _fit(
    params: XgboostParameters, X: NDArray[np.float32], y: NDArray[np.float64], *, seed: int, implementation: str
) -> Any:
    from xgboost import XGBRegressor

    estimator = XGBRegressor(
        **params.model_dump(),
        tree_method=implementation,
        max_bin=64,
        objective=OBJECTIVE,
        random_state=seed,
        n_jobs=1,
    )
    estimator.fit(X, y)
    if params.device != "cpu":
        # Forecasts are computed on the CPU, as where the model is loaded.
        estimator.set_params(device="cpu").get_booster().set_param({"device": "cpu"})
    return estimator


def _importance(estimator: Any) -> NDArray[np.float64]:
    """Return the average gain of the splits by each feature."""
    import numpy as np

    return np.asarray(estimator.feature_importances_, dtype=np.float64)


class _BoosterFile:
    """Stores models in XGBoost's own format; files are checked before XGBoost reads them."""

    def save(self, estimator: Any, folder: Path) -> None:
        """Write estimator.ubj."""
        estimator.save_model(folder / _FILE)

    def load(self, folder: Path, implementation: str, n_features: int) -> Any:
        """Load estimator.ubj; raises DataError unless XGBoost wrote it for `n_features` features."""
        from xgboost import XGBRegressor

        path = folder / _FILE
        data = read_booster(path, n_features)
        estimator = XGBRegressor(n_jobs=1)
        with translate_load_errors(path):
            estimator.load_model(bytearray(data))
        return estimator.set_params(n_jobs=1)


MODEL = Model(
    key="xgb",
    long_name="xgboost",
    summary="XGBRegressor: boosted trees on random subsets of rows and features.",
    parameters=XgboostParameters,
    implementations={"hist": ("xgboost",)},
    check=check_device,
    fit=_fit,
    importance=_importance,
    space={
        "n_estimators": Range(20, 600, log=True),
        "learning_rate": Range(0.005, 0.2, log=True),
        "max_depth": Range(1, 6),
        "min_child_weight": Range(20, 5000, log=True),
        "subsample": Range(0.2, 1.0),
        "colsample_bytree": Range(0.1, 1.0),
        "reg_lambda": Range(0.1, 1000, log=True),
    },
    storage=_BoosterFile(),
    requirements=("xgboost",),
)
