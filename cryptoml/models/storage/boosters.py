"""Checks an XGBoost model file before XGBoost reads it: one output, the expected features, valid trees."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import DataError
from cryptoml.models.storage.archive import FETCH_AGAIN
from cryptoml.models.storage.model_files import open_plain
from cryptoml.models.storage.ubjson import TypedArray, read_ubj

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BYTES = 2 * 2**30
# XGBoost computes the depth of a tree by recursion; the parameters allow 16.
MAX_TREE_DEPTH = 64
OBJECTIVE = "reg:squarederror"
# Arrays with one element per node of a tree, and their allowed UBJSON types.
_NODE_ARRAYS = {
    "base_weights": "d",
    "default_left": "U",
    "left_children": "l",
    "loss_changes": "d",
    "parents": "l",
    "right_children": "l",
    "split_conditions": "d",
    "split_indices": "lL",
    "split_type": "U",
    "sum_hessian": "d",
}
_CATEGORY_ARRAYS = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_NO_PARENT = 2**31 - 1


def read_booster(path: Path, n_features: int) -> bytes:
    """Return the bytes of an XGBoost model for `n_features` columns; raises DataError for any other file."""
    try:
        with open_plain(path) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        _check_model(read_ubj(data), n_features)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: cannot be read as an XGBoost model: {reason[:300]}.", hint=FETCH_AGAIN) from error
    return data


def _check_model(model: dict[str, Any], n_features: int) -> None:
    learner = model["learner"]
    _check(all(type(part) is int for part in model["version"]) and len(model["version"]) == 3, "version")
    _check_learner(learner, n_features)
    booster = learner["gradient_booster"]
    _check(booster["name"] == "gbtree", "gradient_booster.name")
    booster = booster["model"]
    trees = booster["trees"]
    _check(type(trees) is list and len(trees) > 0, "trees")
    _check(booster["gbtree_model_param"]["num_trees"] == str(len(trees)), "num_trees")
    _check(booster["gbtree_model_param"]["num_parallel_tree"] == "1", "num_parallel_tree")
    _check(_as_list(booster["tree_info"]) == [0] * len(trees), "tree_info")
    _check(_as_list(booster["iteration_indptr"]) == list(range(len(trees) + 1)), "iteration_indptr")
    for name, part in booster.get("cats", {}).items():
        _check(_as_list(part) == [], f"cats.{name}")
    for number, tree in enumerate(trees):
        try:
            _check_tree(tree, number, n_features)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"tree {number}: {error}") from error


def _check_learner(learner: dict[str, Any], n_features: int) -> None:
    _check(learner["objective"]["name"] == OBJECTIVE, "objective.name")
    weight = learner["objective"]["reg_loss_param"]["scale_pos_weight"]
    _check(set(learner["objective"]) == {"name", "reg_loss_param"} and weight == "1", "objective")
    _check(learner["feature_names"] == [] and learner["feature_types"] == [], "feature_names or feature_types")
    attributes = learner["attributes"]
    _check(set(attributes) == {"scikit_learn"} and len(attributes["scikit_learn"]) < 200, "attributes")
    _check(json.loads(attributes["scikit_learn"]) == {"_estimator_type": "regressor"}, "attributes.scikit_learn")
    params = learner["learner_model_param"]
    _check(params["num_feature"] == str(n_features), f"num_feature ({n_features} are expected)")
    _check(params["num_class"] == "0" and params["num_target"] == "1", "num_class or num_target")
    _check(params["boost_from_average"] in ("0", "1"), "boost_from_average")
    _check(math.isfinite(float(params["base_score"].removeprefix("[").removesuffix("]"))), "base_score")


def _check_tree(tree: dict[str, Any], number: int, n_features: int) -> None:
    _check(tree["id"] == number, "id")
    arrays: dict[str, NDArray[Any]] = {}
    for name, kinds in _NODE_ARRAYS.items():
        array = tree[name]
        _check(isinstance(array, TypedArray) and array.kind in kinds, name)
        arrays[name] = array.values
    for name in _CATEGORY_ARRAYS:
        _check(isinstance(tree[name], TypedArray) and len(tree[name].values) == 0, name)
    count = len(arrays["left_children"])
    _check(count > 0 and all(len(array) == count for array in arrays.values()), "the lengths of its arrays")
    param = tree["tree_param"]
    _check(param["num_nodes"] == str(count), f"num_nodes (its arrays have {count})")
    _check(param["num_feature"] == str(n_features), "num_feature")
    _check(param["num_deleted"] == "0" and param["size_leaf_vector"] in ("0", "1"), "tree_param")
    _check(not arrays["split_type"].any(), "split_type")
    _check_nodes(arrays, count, n_features)


def _check_nodes(arrays: dict[str, NDArray[Any]], count: int, n_features: int) -> None:
    """Check that inner nodes have two later children, each node has one parent, and features are in range."""
    import numpy as np

    left, right = (arrays[name].astype(np.int64) for name in ("left_children", "right_children"))
    inner = np.flatnonzero(left != -1)
    _check(bool(np.array_equal(inner, np.flatnonzero(right != -1))), "left_children and right_children")
    parents = np.full(count, _NO_PARENT, dtype=np.int64)
    for name, child in (("left_children", left[inner]), ("right_children", right[inner])):
        _check(bool(np.all((child > inner) & (child < count))), name)
        _check(bool(np.all(parents[child] == _NO_PARENT)), f"{name} (a node with two parents)")
        parents[child] = inner
    _check(len(np.unique(np.concatenate([left[inner], right[inner]]))) == 2 * len(inner), "a node with two parents")
    _check(bool(np.array_equal(parents, arrays["parents"])), "parents")
    level = np.zeros(1, dtype=np.int64)
    for _ in range(MAX_TREE_DEPTH):
        level = level[left[level] != -1]
        level = np.concatenate([left[level], right[level]])
    _check(len(level) == 0, f"depth of more than {MAX_TREE_DEPTH}")
    features = arrays["split_indices"].astype(np.int64)
    _check(bool(np.all((features >= 0) & (features < n_features))), "split_indices")


def _as_list(array: Any) -> Any:
    return array.values.tolist() if isinstance(array, TypedArray) else array


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"unexpected {what}")
