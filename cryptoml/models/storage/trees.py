"""Checks the trees of loaded estimators before they are used.

scikit-learn's compiled code does not check the node indices of a tree, so a wrong index accesses arbitrary memory. The
checks do not call the estimator.
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
# The types in a skops file of decision trees: pairs of loader and `module.class`.
DECISION_TREE_TYPES: frozenset[NodeType] = frozenset({("ObjectNode", _DECISION_TREE), ("TreeNode", _TREE)})


def decision_tree_problem(wrapper: Any, n_features: int) -> str:
    """Return why a DecisionTreeRegressor cannot be used; "" if it can."""
    if class_name(wrapper) != _DECISION_TREE:
        return f"it has {class_name(wrapper)} instead of a tree"
    tree = wrapper.tree_
    if class_name(tree) != _TREE:
        return f"it has {class_name(tree)} instead of a tree"
    if tree.node_count < 1 or tree.value.shape != (tree.node_count, 1, 1):
        return f"a tree with {tree.node_count} nodes has values of shape {tree.value.shape}"
    inner = tree.children_left != -1
    return index_problem(inner, tree.children_left, tree.children_right, tree.feature, n_features)


def index_problem(
    inner: NDArray[np.bool_], left: NDArray[Any], right: NDArray[Any], feature: NDArray[Any], n_features: int
) -> str:
    """Return why the indices of a tree are invalid; "" if they are valid.

    Both children of an inner node must have higher indices, so that every path ends, and its feature must exist.
    """
    import numpy as np

    parents = np.flatnonzero(inner)
    for name, child in (("left", left), ("right", right)):
        # Signed, because histogram trees have unsigned indices and others use -1 for none.
        target = child[parents].astype(np.int64)
        wrong = np.flatnonzero((target <= parents) | (target >= len(inner)))
        if len(wrong):
            return f"the {name} child of node {parents[wrong[0]]} of {len(inner)} is node {target[wrong[0]]}"
    chosen = feature[parents].astype(np.int64)
    wrong = np.flatnonzero((chosen < 0) | (chosen >= n_features))
    if len(wrong):
        return f"node {parents[wrong[0]]} splits by feature {chosen[wrong[0]]} of {n_features}"
    return ""


def first_problem(problems: Iterable[str]) -> str:
    """Return the first non-empty string, or ""."""
    return next((problem for problem in problems if problem), "")


def class_name(value: Any) -> str:
    """Return `module.class` of a value."""
    return f"{type(value).__module__}.{type(value).__name__}"
