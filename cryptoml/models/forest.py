"""The accelerated random forest: scikit-learn-intelex grows it, a stock scikit-learn forest carries its trees."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def accelerator_installed() -> bool:
    """Whether scikit-learn-intelex is there (it exists for Linux on x86-64)."""
    from importlib.util import find_spec

    return find_spec("sklearnex") is not None


def fit_accelerated(forest: Any, X: NDArray[np.float32], y: NDArray[np.float64]) -> Any:
    """Fit an unfitted stock RandomForestRegressor with scikit-learn-intelex and give it the trees.

    The same algorithm on binned features, so the trees differ from those scikit-learn would grow; they depend on
    the seed alone, not on the number of threads. Returns `forest`, fitted.
    """
    from sklearnex.ensemble import RandomForestRegressor

    grower = RandomForestRegressor(**forest.get_params())
    with warnings.catch_warnings():
        # Said when a fit runs in a thread; it is about speed, and one thread is what is wanted here.
        warnings.filterwarnings("ignore", message="'Threading' parallel backend is not supported")
        grower.fit(X, y)
    forest.estimators_ = list(grower.estimators_)
    forest.estimator_ = forest.estimators_[0].__class__()
    forest.n_features_in_ = X.shape[1]
    forest.n_outputs_ = 1
    return forest
