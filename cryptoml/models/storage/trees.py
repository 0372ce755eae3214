"""Checks scikit-learn estimators that were read from a file, before they forecast.

scikit-learn's compiled code follows the node indices of a tree without a check of its own: a wrong index reads or
writes foreign memory. Nothing here calls an estimator.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import DataError
from cryptoml.models.storage.archive import FETCH_AGAIN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def check_estimator(estimator: Any, expected: str, n_features: int, path: Path) -> None:
    """Raise DataError unless it is an `expected` (`module.class`) for `n_features` columns with sound trees inside."""
    try:
        problem = _problem(estimator, expected, n_features)
    except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise DataError(f"{path}: the model cannot be used: {problem[:300]}.", hint=FETCH_AGAIN)


def _problem(estimator: Any, expected: str, n_features: int) -> str:
    if _name(estimator) != expected:
        return f"it holds {_name(estimator)}, not {expected}"
    for one in (estimator, getattr(estimator, "init_", None)):
        shadowed = [key for key in getattr(one, "__dict__", ()) if callable(getattr(type(one), key, None))]
        if shadowed:
            return f"it has a value in place of the method {shadowed[0]}"
    if expected.endswith(".DummyRegressor"):
        return "" if estimator.n_outputs_ == 1 else "it has several outputs"
    if estimator.n_features_in_ != n_features:
        return f"it takes {estimator.n_features_in_} features, not {n_features}"
    checks = {
        "RandomForestRegressor": _forest_problem,
        "GradientBoostingRegressor": _exact_boosting_problem,
        "HistGradientBoostingRegressor": _histogram_boosting_problem,
    }
    check = checks.get(expected.rpartition(".")[2])
    return check(estimator, n_features) if check else ""


def _forest_problem(forest: Any, n_features: int) -> str:
    if type(forest.estimators_) is not list or not forest.estimators_:
        return "it has no trees"
    return _first(_tree_problem(one, n_features) for one in forest.estimators_)


def _exact_boosting_problem(boosting: Any, n_features: int) -> str:
    import numpy as np

    trees = boosting.estimators_
    if type(trees) is not np.ndarray or trees.ndim != 2 or trees.shape[0] < 1 or trees.shape[1] != 1:
        return "its trees are not in one column"
    if boosting.n_trees_per_iteration_ != 1:
        return "it has several outputs"
    if _name(boosting.init_) != "sklearn.dummy.DummyRegressor" or boosting.init_.n_outputs_ != 1:
        return "its first forecast is not a constant"
    return _first(_tree_problem(one, n_features) for one in trees[:, 0])


def _histogram_boosting_problem(boosting: Any, n_features: int) -> str:
    import numpy as np

    if boosting.n_trees_per_iteration_ != 1 or boosting._n_features != n_features:
        return "it has several outputs, or another number of features"
    if np.any(boosting._bin_mapper.is_categorical_) or boosting.is_categorical_ is not None:
        return "it has categories, which no feature has"
    if type(boosting._predictors) is not list or not boosting._predictors:
        return "it has no trees"
    return _first(_predictor_problem(stage, n_features) for stage in boosting._predictors)


def _tree_problem(wrapper: Any, n_features: int) -> str:
    if _name(wrapper) != "sklearn.tree._classes.DecisionTreeRegressor":
        return f"it has {_name(wrapper)} in place of a tree"
    tree = wrapper.tree_
    if _name(tree) != "sklearn.tree._tree.Tree":
        return f"it has {_name(tree)} in place of a tree"
    if tree.node_count < 1 or tree.value.shape != (tree.node_count, 1, 1):
        return f"a tree of {tree.node_count} nodes has values of the shape {tree.value.shape}"
    inner = tree.children_left != -1
    return _index_problem(inner, tree.children_left, tree.children_right, tree.feature, n_features)


def _predictor_problem(stage: Any, n_features: int) -> str:
    import numpy as np

    if type(stage) is not list or len(stage) != 1:
        return "a round has not one tree"
    if _name(stage[0]) != "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor":
        return f"it has {_name(stage[0])} in place of a tree"
    nodes = stage[0].nodes
    if type(nodes) is not np.ndarray or nodes.ndim != 1 or len(nodes) < 1:
        return "a tree has no nodes"
    if np.any(nodes["is_categorical"]):
        return "a tree splits by category, which no feature has"
    inner = nodes["is_leaf"] == 0
    return _index_problem(inner, nodes["left"], nodes["right"], nodes["feature_idx"], n_features)


def _index_problem(
    inner: NDArray[np.bool_], left: NDArray[Any], right: NDArray[Any], feature: NDArray[Any], n_features: int
) -> str:
    """Both children of an inner node lie behind it, so that every path ends, and its feature exists."""
    import numpy as np

    at = np.flatnonzero(inner)
    for name, child in (("left", left), ("right", right)):
        # Signed: the histogram trees have unsigned indices, the others -1 for none.
        target = child[at].astype(np.int64)
        wrong = np.flatnonzero((target <= at) | (target >= len(inner)))
        if len(wrong):
            return f"the {name} child of node {at[wrong[0]]} of {len(inner)} is node {target[wrong[0]]}"
    chosen = feature[at].astype(np.int64)
    wrong = np.flatnonzero((chosen < 0) | (chosen >= n_features))
    if len(wrong):
        return f"node {at[wrong[0]]} splits by feature {chosen[wrong[0]]} of {n_features}"
    return ""


def _first(problems: Any) -> str:
    return next((one for one in problems if one), "")


def _name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__name__}"
