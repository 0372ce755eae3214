"""Random forest of scikit-learn, with trees grown by scikit-learn or scikit-learn-intelex.

Returns are mostly noise, so the defaults are many trees with large leaves.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from cryptoml.config.parameters import Parameters
from cryptoml.models.base import Model, Range
from cryptoml.models.storage.skops_file import SkopsFile, feature_count_problem
from cryptoml.models.storage.trees import DECISION_TREE_TYPES, decision_tree_problem, first_problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CLASS = "sklearn.ensemble._forest.RandomForestRegressor"


class ForestParameters(Parameters):
    """Hyperparameters of the random forest."""

    n_estimators: int = Field(
        200, ge=1, le=5000, description="number of trees; more trees are more stable, slower and larger"
    )
    max_depth: int | None = Field(None, ge=1, le=64, description="maximum depth; lower values are smoother")
    min_samples_leaf: int = Field(
        100, ge=1, le=100_000, description="minimum rows per leaf; higher values are smoother and give smaller files"
    )
    max_features: float = Field(
        0.3, ge=0.01, le=1.0, description="share of features tried per split; lower values make trees more diverse"
    )
    max_samples: float = Field(
        0.5, ge=0.01, le=1.0, description="share of rows per tree; lower values are faster and smoother"
    )
    max_tree_rows: int = Field(
        50_000,
        ge=100,
        le=100_000_000,
        description="maximum rows per tree; limits time and model size on years of one-minute candles",
    )
    implementation: Literal["auto", "sklearn", "sklearnex"] = Field(
        "auto", description="library that grows the trees; auto: sklearnex if installed"
    )


def accelerator_installed() -> bool:
    """Return whether scikit-learn-intelex is installed (available for Linux on x86-64)."""
    from importlib.util import find_spec

    return find_spec("sklearnex") is not None


def _choose(params: ForestParameters, n_rows: int) -> str:
    if params.implementation != "auto":
        return params.implementation
    return "sklearnex" if accelerator_installed() else "sklearn"


def _fit(
    params: ForestParameters, X: NDArray[np.float32], y: NDArray[np.float64], *, seed: int, implementation: str
) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        n_estimators=params.n_estimators,
        max_depth=params.max_depth,
        min_samples_leaf=params.min_samples_leaf,
        max_features=params.max_features,
        max_samples=min(params.max_samples, params.max_tree_rows / len(y)),
        random_state=seed,
        n_jobs=1,
    )
    return _fit_accelerated(forest, X, y) if implementation == "sklearnex" else forest.fit(X, y)


def _fit_accelerated(forest: Any, X: NDArray[np.float32], y: NDArray[np.float64]) -> Any:
    """Fit a scikit-learn forest with scikit-learn-intelex and return it.

    The algorithm is the same, but on binned features, so the trees differ from those of scikit-learn. They depend only
    on the seed, not on the number of threads.
    """
    from sklearnex.ensemble import RandomForestRegressor

    accelerated = RandomForestRegressor(**forest.get_params())
    with warnings.catch_warnings():
        # The warning concerns speed only; a single thread is intended here.
        warnings.filterwarnings("ignore", message="'Threading' parallel backend is not supported")
        accelerated.fit(X, y)
    forest.estimators_ = list(accelerated.estimators_)
    forest.estimator_ = forest.estimators_[0].__class__()
    forest.n_features_in_ = X.shape[1]
    forest.n_outputs_ = 1
    return forest


def _predict(forest: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Add up the trees in order; the forest's own `predict` adds in thread order and is slow for single rows."""
    import numpy as np

    rows = np.ascontiguousarray(X, dtype=np.float32)
    total = np.zeros(len(rows))
    for tree in forest.estimators_:
        total += tree.tree_.predict(rows)[:, 0]
    return total / len(forest.estimators_)


def _importance(forest: Any) -> NDArray[np.float64]:
    """Return the decrease of impurity, averaged over the trees."""
    import numpy as np

    weights = [tree.tree_.compute_feature_importances() for tree in forest.estimators_]
    return np.asarray(np.mean(weights, axis=0), dtype=np.float64)


def _problem(forest: Any, n_features: int) -> str:
    if problem := feature_count_problem(forest, n_features):
        return problem
    if type(forest.estimators_) is not list or not forest.estimators_:
        return "it has no trees"
    return first_problem(decision_tree_problem(tree, n_features) for tree in forest.estimators_)


MODEL = Model(
    key="rf",
    long_name="random_forest",
    summary="RandomForestRegressor: many trees on random subsets of rows and features.",
    parameters=ForestParameters,
    implementations={"sklearn": ("sklearn.ensemble",), "sklearnex": ("sklearn.ensemble", "sklearnex.ensemble")},
    choose=_choose,
    fit=_fit,
    predict=_predict,
    importance=_importance,
    space={
        "min_samples_leaf": Range(20, 5000, log=True),
        "max_features": Range(0.05, 1.0),
        "max_samples": Range(0.1, 1.0),
    },
    storage=SkopsFile(classes={"sklearn": _CLASS, "sklearnex": _CLASS}, trusted=DECISION_TREE_TYPES, check=_problem),
)
