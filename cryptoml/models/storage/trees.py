"""Checks the trees of estimators that were read from a file, before they forecast.

scikit-learn's compiled code follows the node indices of a tree without a check of its own: a wrong index reads or
writes foreign memory. Nothing here calls an estimator.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cryptoml.models.storage.archive_schema import NodeType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DECISION_TREE = "sklearn.tree._classes.DecisionTreeRegressor"
_TREE = "sklearn.tree._tree.Tree"
# What a skops file of decision trees holds: pairs of loader and `module.class`.
DECISION_TREE_TYPES: frozenset[NodeType] = frozenset({("ObjectNode", _DECISION_TREE), ("TreeNode", _TREE)})


def decision_tree_problem(wrapper: Any, n_features: int) -> str:
    """Why a DecisionTreeRegressor cannot be used; "" when it can."""
    if class_name(wrapper) != _DECISION_TREE:
        return f"it has {class_name(wrapper)} in place of a tree"
    tree = wrapper.tree_
    if class_name(tree) != _TREE:
        return f"it has {class_name(tree)} in place of a tree"
    if tree.node_count < 1 or tree.value.shape != (tree.node_count, 1, 1):
        return f"a tree of {tree.node_count} nodes has values of the shape {tree.value.shape}"
    inner = tree.children_left != -1
    return index_problem(inner, tree.children_left, tree.children_right, tree.feature, n_features)


def index_problem(
    inner: NDArray[np.bool_], left: NDArray[Any], right: NDArray[Any], feature: NDArray[Any], n_features: int
) -> str:
    """Why the indices of a tree are wrong; "" when they are right.

    Both children of an inner node must lie behind it, so that every path ends, and its feature must exist.
    """
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


def first_problem(problems: Iterable[str]) -> str:
    """The first that is not empty, or ""."""
    return next((one for one in problems if one), "")


def class_name(value: Any) -> str:
    """`module.class` of a value."""
    return f"{type(value).__module__}.{type(value).__name__}"
