"""Persistence: the forecast of no change, which is the baseline for all models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptoml.config.parameters import Parameters
from cryptoml.models.base import Model
from cryptoml.models.storage.skops_file import SkopsFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PersistenceParameters(Parameters):
    """Persistence has no parameters."""


def _fit(
    params: PersistenceParameters,
    X: NDArray[np.float32],
    y: NDArray[np.float64],
    *,
    seed: int,
    implementation: str,
) -> Any:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(strategy="constant", constant=0.0).fit(X, y)


def _problem(estimator: Any, n_features: int) -> str:
    return "" if estimator.n_outputs_ == 1 else "it has several outputs"


MODEL = Model(
    key="persistence",
    long_name="persistence",
    summary="The forecast 'no change': the baseline for all other models.",
    parameters=PersistenceParameters,
    implementations={"constant": ("sklearn.dummy",)},
    fit=_fit,
    storage=SkopsFile(classes={"constant": "sklearn.dummy.DummyRegressor"}, check=_problem),
    is_baseline=True,
)
