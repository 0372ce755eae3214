"""Checks that the schema of a skops archive contains only known nodes of allowed types."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptoml.errors import AccessError, DataError
from cryptoml.models.storage.archive import FETCH_AGAIN, UNTRUSTED

NodeType = tuple[str, str]
# Older protocols have different nodes; skops itself refuses newer ones.
LOWEST_PROTOCOL = 2
# Pairs of loader and created type. None of them runs code from the archive or calls anything but the type itself.
PLAIN_NODES: frozenset[NodeType] = frozenset(
    {
        ("DictNode", "builtins.dict"),
        ("JsonNode", "builtins.str"),
        ("ListNode", "builtins.list"),
        ("TupleNode", "builtins.tuple"),
        ("TypeNode", "builtins.str"),
        ("NdArrayNode", "numpy.ndarray"),
        ("NdArrayNode", "numpy.float32"),
        ("NdArrayNode", "numpy.float64"),
        ("NdArrayNode", "numpy.int64"),
        ("NdArrayNode", "numpy.uint64"),
    }
)
# An array of objects, each of which is a node. Allowed only for models that list it.
OBJECT_ARRAY: NodeType = ("NdArrayNode of objects", "numpy.ndarray")

_MAX_TEXT = 4096
_MAX_POOL = 64
_COMMON_KEYS = frozenset({"__class__", "__module__", "__loader__", "__id__"})
_ROOT_KEYS = frozenset({"protocol", "_skops_version"})


@dataclass
class _Walk:
    """The state of a check. path: for messages; seen: node by ID; untrusted: types that are not allowed."""

    path: Path
    arrays: frozenset[str]
    allowed: frozenset[NodeType]
    seen: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    untrusted: set[str] = field(default_factory=set)

    def damaged(self, what: str) -> DataError:
        return DataError(f"{self.path}: the schema cannot be read: {what[:200]}.", hint=FETCH_AGAIN)


def check_schema(schema: Mapping[str, Any], arrays: frozenset[str], allowed: frozenset[NodeType], path: Path) -> None:
    """Check every node of the schema without importing anything.

    Raises AccessError that lists the types that are not in `allowed` (pairs of loader and `module.class`), and
    DataError for a schema that skops would not write. arrays: the array members of the archive.
    """
    walk = _Walk(path, arrays, allowed)
    protocol = schema.get("protocol")
    if isinstance(protocol, bool) or not isinstance(protocol, int) or protocol < LOWEST_PROTOCOL:
        raise walk.damaged(f"protocol {protocol!r}")
    root = {name: value for name, value in schema.items() if name not in _ROOT_KEYS}
    pending: list[Any] = [root]
    while pending:
        pending.extend(_children(walk, pending.pop()))
    if walk.untrusted:
        names = sorted(walk.untrusted)
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise AccessError(f"{path}: refers to untrusted code: {', '.join(names[:5])}{more}.", hint=UNTRUSTED)


def _children(walk: _Walk, node: Any) -> Iterator[Any]:
    """Check a node and yield its child nodes; the children of an untrusted node are not checked."""
    if not isinstance(node, dict) or not all(isinstance(node.get(key), str) for key in _COMMON_KEYS - {"__id__"}):
        raise walk.damaged(f"{type(node).__name__} instead of a node")
    loader, type_name = node["__loader__"], f"{node['__module__']}.{node['__class__']}"
    kind = (loader, type_name)
    if kind == ("NdArrayNode", "numpy.ndarray") and node.get("type") == "json":
        kind = OBJECT_ARRAY
    if kind not in walk.allowed or loader not in _CONTENTS:
        walk.untrusted.add(f"{type_name} ({loader})"[:200])
        return
    _check_id(walk, node)
    for name, key in (("__class__", "."), ("__module__", "..")):
        if key in node[name]:
            raise walk.damaged(f"the name {node[name]!r}")
    keys, contents = _CONTENTS[loader]
    unknown = sorted(node.keys() - _COMMON_KEYS - keys)
    if unknown:
        raise walk.damaged(f"{loader} with {', '.join(unknown)}")
    try:
        yield from contents(walk, node)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise walk.damaged(f"{loader} ({type(error).__name__}: {error})") from error


def _check_id(walk: _Walk, node: Mapping[str, Any]) -> None:
    """Check that nodes with the same ID are equal, because skops builds only the first of them."""
    number = node.get("__id__")
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise walk.damaged(f"the ID {number!r}")
    if not _is_equal(walk.seen.setdefault(number, node), node):
        raise walk.damaged(f"two different nodes have the ID {number}")


def _is_equal(one: Any, other: Any) -> bool:
    """Return whether two nodes are equal, except for IDs and array files, which may differ between equal parts."""
    pending = [(one, other)]
    while pending:
        one, other = pending.pop()
        if one is other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pending.extend((one[key], other[key]) for key in one if key not in ("__id__", "file"))
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pending.extend(zip(one, other, strict=True))
        elif type(one) is not type(other) or one != other:
            return False
    return True


def _json(walk: _Walk, node: Mapping[str, Any]) -> Iterator[Any]:
    _scalar(walk, node)
    return iter(())


def _scalar(walk: _Walk, node: Mapping[str, Any]) -> Any:
    text = node["content"]
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise walk.damaged("a value that is not a short string")
    value = json.loads(text)
    if isinstance(value, list | dict):
        raise walk.damaged("a value that is not a scalar")
    return value


def _sequence(walk: _Walk, node: Mapping[str, Any]) -> Iterator[Any]:
    if not isinstance(node["content"], list):
        raise walk.damaged("a sequence without a list")
    yield from node["content"]


def _dict(walk: _Walk, node: Mapping[str, Any]) -> Iterator[Any]:
    special = [key for key in node["content"] if key.startswith("__")]
    if special:
        raise walk.damaged(f"the attribute {special[0]}")
    if len(node["key_types"]["content"]) != len(node["content"]):
        raise walk.damaged("a dict with different numbers of keys and types")
    yield node["key_types"]
    yield from node["content"].values()


def _array(walk: _Walk, node: Mapping[str, Any]) -> Iterator[Any]:
    if node["type"] == "json" and node["__class__"] == "ndarray":
        yield node["shape"]
        yield from _sequence(walk, node)
    elif node["type"] != "numpy" or node["file"] not in walk.arrays:
        raise walk.damaged(f"an array in {node.get('file')!r}")


def _object(walk: _Walk, node: Mapping[str, Any]) -> Iterator[Any]:
    yield node["content"]


def _reduced(walk: _Walk, node: Mapping[str, Any]) -> Iterator[Any]:
    if set(node["__reduce__"]) != {"args"}:
        raise walk.damaged("a constructor with more than its arguments")
    arguments = node["__reduce__"]["args"]
    if node["__loader__"] == "TreeNode":
        features, _, outputs = arguments["content"]
        if not 0 < _scalar(walk, features) <= 10**6 or _scalar(walk, outputs) != 1:
            raise walk.damaged("a tree with an invalid number of features or outputs")
    elif arguments["content"]:
        raise walk.damaged("a loss with arguments")
    yield arguments
    yield node["content"]


def _generator(walk: _Walk, node: Mapping[str, Any]) -> Iterator[Any]:
    state, seed = node["content"]["bit_generator"], node["content"]["seed_seq"]
    if _scalar(walk, state["content"]["bit_generator"]) != "PCG64":
        raise walk.damaged("an unexpected random generator")
    if not 0 < _scalar(walk, seed["content"]["pool_size"]) <= _MAX_POOL:
        raise walk.damaged("a random generator with an invalid pool size")
    yield state
    yield seed


_CONTENTS: dict[str, tuple[frozenset[str], Callable[[_Walk, Mapping[str, Any]], Iterator[Any]]]] = {
    "JsonNode": (frozenset({"content", "is_json"}), _json),
    "TypeNode": (frozenset(), lambda walk, node: iter(())),
    "ListNode": (frozenset({"content"}), _sequence),
    "TupleNode": (frozenset({"content"}), _sequence),
    "DictNode": (frozenset({"content", "key_types"}), _dict),
    "NdArrayNode": (frozenset({"type", "file", "content", "shape"}), _array),
    "ObjectNode": (frozenset({"content"}), _object),
    "RandomStateNode": (frozenset({"content"}), _object),
    "RandomGeneratorNode": (frozenset({"content"}), _generator),
    "TreeNode": (frozenset({"content", "__reduce__"}), _reduced),
    "LossNode": (frozenset({"content", "__reduce__"}), _reduced),
}
