"""Gradient boosting with scikit-learn: exact splits for small data, histogram splits for large data.

Returns are mostly noise, so the defaults are a low learning rate, few rounds and large leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from cryptoml.config.parameters import Parameters
from cryptoml.models.base import Model, Range
from cryptoml.models.storage.archive_schema import OBJECT_ARRAY
from cryptoml.models.storage.skops_file import SkopsFile, feature_count_problem, shadowed_method
from cryptoml.models.storage.trees import (
    DECISION_TREE_TYPES,
    class_name,
    decision_tree_problem,
    first_problem,
    index_problem,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXACT_ROWS = 10_000

_EXACT = "sklearn.ensemble._gb.GradientBoostingRegressor"
_HISTOGRAM = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor"
_HISTOGRAM_TREE = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
_FIRST_FORECAST = "sklearn.dummy.DummyRegressor"
_TRUSTED = DECISION_TREE_TYPES | {
    OBJECT_ARRAY,
    ("LossNode", "sklearn._loss._loss.CyHalfSquaredError"),
    ("ObjectNode", "sklearn._loss.link.IdentityLink"),
    ("ObjectNode", "sklearn._loss.link.Interval"),
    ("ObjectNode", "sklearn._loss.loss.HalfSquaredError"),
    ("ObjectNode", _FIRST_FORECAST),
    ("ObjectNode", "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper"),
    ("ObjectNode", _HISTOGRAM_TREE),
    ("RandomGeneratorNode", "numpy.random._generator.Generator"),
    ("RandomStateNode", "numpy.random.mtrand.RandomState"),
}


class BoostingParameters(Parameters):
    """Hyperparameters of gradient boosting."""

    n_estimators: int = Field(
        100, ge=1, le=10_000, description="boosting rounds; more rounds fit the training data more closely"
    )
    learning_rate: float = Field(
        0.03, ge=1e-4, le=1.0, description="weight of each round; lower values need more rounds"
    )
    max_depth: int = Field(3, ge=1, le=16, description="maximum depth of a tree, and order of feature interactions")
    min_samples_leaf: int = Field(
        200, ge=1, le=100_000, description="minimum rows per leaf; higher values are smoother"
    )
    max_features: float = Field(
        0.3, ge=0.01, le=1.0, description="share of features tried per split; lower values make rounds more diverse"
    )
    l2_regularization: float = Field(
        10.0, ge=0.0, le=1e6, description="shrinks leaf values towards zero (histogram splits only)"
    )
    implementation: Literal["auto", "exact", "hist"] = Field(
        "auto", description="exact or histogram splits; auto depends on the number of rows"
    )


def _choose(params: BoostingParameters, n_rows: int) -> str:
    if params.implementation != "auto":
        return params.implementation
    return "exact" if n_rows <= EXACT_ROWS else "hist"


def _fit(
    params: BoostingParameters, X: NDArray[np.float32], y: NDArray[np.float64], *, seed: int, implementation: str
) -> Any:
    from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor

    shared = {
        "learning_rate": params.learning_rate,
        "max_depth": params.max_depth,
        "min_samples_leaf": params.min_samples_leaf,
        "max_features": params.max_features,
        "random_state": seed,
    }
    if implementation == "exact":
        estimator = GradientBoostingRegressor(n_estimators=params.n_estimators, subsample=0.5, **shared)
    else:
        estimator = HistGradientBoostingRegressor(
            max_iter=params.n_estimators,
            l2_regularization=params.l2_regularization,
            max_bins=64,
            early_stopping=False,
            **shared,
        )
    return estimator.fit(X, y)


def _importance(estimator: Any) -> NDArray[np.float64]:
    """Return the decrease of impurity for exact splits, the gain for histogram splits."""
    import numpy as np

    if not hasattr(estimator, "_predictors"):
        return np.asarray(estimator.feature_importances_, dtype=np.float64)
    weights = np.zeros(estimator.n_features_in_)
    for stage in estimator._predictors:
        nodes = stage[0].nodes
        inner = nodes["is_leaf"] == 0
        np.add.at(weights, nodes["feature_idx"][inner], nodes["gain"][inner])
    return weights


def _problem(estimator: Any, n_features: int) -> str:
    if problem := feature_count_problem(estimator, n_features):
        return problem
    if class_name(estimator) == _EXACT:
        return _exact_problem(estimator, n_features)
    return _histogram_problem(estimator, n_features)


def _exact_problem(boosting: Any, n_features: int) -> str:
    import numpy as np

    trees = boosting.estimators_
    if type(trees) is not np.ndarray or trees.ndim != 2 or trees.shape[0] < 1 or trees.shape[1] != 1:
        return "its trees do not form one column"
    if boosting.n_trees_per_iteration_ != 1:
        return "it has several outputs"
    if class_name(boosting.init_) != _FIRST_FORECAST or boosting.init_.n_outputs_ != 1:
        return "its first forecast is not a constant"
    if shadowed := shadowed_method(boosting.init_):
        return shadowed
    return first_problem(decision_tree_problem(tree, n_features) for tree in trees[:, 0])


def _histogram_problem(boosting: Any, n_features: int) -> str:
    import numpy as np

    if boosting.n_trees_per_iteration_ != 1 or boosting._n_features != n_features:
        return "it has several outputs, or a different number of features"
    if np.any(boosting._bin_mapper.is_categorical_) or boosting.is_categorical_ is not None:
        return "it has categorical features"
    if type(boosting._predictors) is not list or not boosting._predictors:
        return "it has no trees"
    return first_problem(_round_problem(stage, n_features) for stage in boosting._predictors)


def _round_problem(stage: Any, n_features: int) -> str:
    import numpy as np

    if type(stage) is not list or len(stage) != 1:
        return "a round does not have exactly one tree"
    if class_name(stage[0]) != _HISTOGRAM_TREE:
        return f"it has {class_name(stage[0])} instead of a tree"
    nodes = stage[0].nodes
    if type(nodes) is not np.ndarray or nodes.ndim != 1 or len(nodes) < 1:
        return "a tree has no nodes"
    if np.any(nodes["is_categorical"]):
        return "a tree has a categorical split"
    inner = nodes["is_leaf"] == 0
    return index_problem(inner, nodes["left"], nodes["right"], nodes["feature_idx"], n_features)


MODEL = Model(
    key="gbm",
    long_name="gradient_boosting",
    summary="Gradient boosting: exact splits on small data, histogram splits above 10,000 rows.",
    parameters=BoostingParameters,
    implementations={"exact": ("sklearn.ensemble",), "hist": ("sklearn.ensemble",)},
    choose=_choose,
    fit=_fit,
    importance=_importance,
    space={
        "n_estimators": Range(20, 600, log=True),
        "learning_rate": Range(0.005, 0.2, log=True),
        "max_depth": Range(1, 6),
        "min_samples_leaf": Range(20, 5000, log=True),
        "max_features": Range(0.1, 1.0),
        "l2_regularization": Range(0.1, 1000, log=True),
    },
    storage=SkopsFile(classes={"exact": _EXACT, "hist": _HISTOGRAM}, trusted=_TRUSTED, check=_problem),
)
