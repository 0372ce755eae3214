"""Ridge regression. Returns are mostly noise, so the default penalty is strong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from cryptoml.config.parameters import Parameters
from cryptoml.models.base import Model, Range
from cryptoml.models.storage.skops_file import SkopsFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class RidgeParameters(Parameters):
    """Hyperparameters of ridge regression."""

    alpha: float = Field(
        10_000.0, ge=0.0, le=1e12, description="penalty; higher values shrink the coefficients towards zero"
    )


def _fit(
    params: RidgeParameters, X: NDArray[np.float32], y: NDArray[np.float64], *, seed: int, implementation: str
) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(alpha=params.alpha, solver=implementation).fit(X, y)


def _importance(estimator: Any) -> NDArray[np.float64]:
    """Return the absolute coefficients; comparable between features only if these are scaled."""
    import numpy as np

    return np.abs(np.ravel(estimator.coef_))


MODEL = Model(
    key="ridge",
    long_name="ridge",
    summary="Ridge: linear in the scaled features, with a squared penalty.",
    parameters=RidgeParameters,
    implementations={"cholesky": ("sklearn.linear_model",)},
    fit=_fit,
    importance=_importance,
    space={"alpha": Range(1.0, 1e8, log=True)},
    storage=SkopsFile(classes={"cholesky": "sklearn.linear_model._ridge.Ridge"}),
)
