"""The random forest: grown by scikit-learn, or by scikit-learn-intelex and carried by a scikit-learn forest.

Returns are mostly noise, so the defaults are many trees with large leaves.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from cryptoml.config.parameters import Parameters
from cryptoml.models.base import Model
from cryptoml.models.storage.skops_file import SkopsFile, width_problem
from cryptoml.models.storage.trees import DECISION_TREE_TYPES, decision_tree_problem, first_problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CLASS = "sklearn.ensemble._forest.RandomForestRegressor"


class ForestParameters(Parameters):
    """Hyper-parameters of the random forest."""

    n_estimators: int = Field(200, ge=1, le=5000, description="trees; more is steadier, slower and larger")
    max_depth: int | None = Field(None, ge=1, le=64, description="longest path; less is smoother")
    min_samples_leaf: int = Field(
        100, ge=1, le=100_000, description="rows a leaf; more is smoother and makes smaller files"
    )
    max_features: float = Field(
        0.3, ge=0.01, le=1.0, description="share of features tried a split; less makes trees differ more"
    )
    max_samples: float = Field(
        0.5, ge=0.01, le=1.0, description="share of rows a tree sees; less is quicker and smoother"
    )
    max_tree_rows: int = Field(
        50_000,
        ge=100,
        le=100_000_000,
        description="rows a tree sees at most; keeps years of minutes quick and their forests small",
    )
    implementation: Literal["auto", "sklearn", "sklearnex"] = Field(
        "auto", description="code that grows the trees; auto takes sklearnex where it is installed"
    )


def accelerator_installed() -> bool:
    """Whether scikit-learn-intelex is installed (it exists for Linux on x86-64)."""
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
    """Fit an unfitted scikit-learn forest with scikit-learn-intelex and give it the trees.

    The same algorithm on binned features, so the trees differ from those scikit-learn would grow; they depend on
    the seed alone, not on the number of threads. Returns `forest`, fitted.
    """
    from sklearnex.ensemble import RandomForestRegressor

    grower = RandomForestRegressor(**forest.get_params())
    with warnings.catch_warnings():
        # Reported when a fit runs in a thread; it is about speed, and one thread is what is wanted here.
        warnings.filterwarnings("ignore", message="'Threading' parallel backend is not supported")
        grower.fit(X, y)
    forest.estimators_ = list(grower.estimators_)
    forest.estimator_ = forest.estimators_[0].__class__()
    forest.n_features_in_ = X.shape[1]
    forest.n_outputs_ = 1
    return forest


def _predict(forest: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Tree by tree: the forest's own predict adds up in the order its threads finish, and is slow for one row."""
    import numpy as np

    rows = np.ascontiguousarray(X, dtype=np.float32)
    total = np.zeros(len(rows))
    for tree in forest.estimators_:
        total += tree.tree_.predict(rows)[:, 0]
    return total / len(forest.estimators_)


def _importance(forest: Any) -> NDArray[np.float64]:
    """Decrease of impurity, averaged over the trees."""
    import numpy as np

    weights = [tree.tree_.compute_feature_importances() for tree in forest.estimators_]
    return np.asarray(np.mean(weights, axis=0), dtype=np.float64)


def _problem(forest: Any, n_features: int) -> str:
    if problem := width_problem(forest, n_features):
        return problem
    if type(forest.estimators_) is not list or not forest.estimators_:
        return "it has no trees"
    return first_problem(decision_tree_problem(one, n_features) for one in forest.estimators_)


MODEL = Model(
    key="rf",
    long_name="random_forest",
    summary="RandomForestRegressor: many deep-enough trees on random parts of rows and features.",
    parameters=ForestParameters,
    implementations={"sklearn": ("sklearn.ensemble",), "sklearnex": ("sklearn.ensemble", "sklearnex.ensemble")},
    choose=_choose,
    fit=_fit,
    predict=_predict,
    importance=_importance,
    storage=SkopsFile(classes={"sklearn": _CLASS, "sklearnex": _CLASS}, trusted=DECISION_TREE_TYPES, check=_problem),
)
