"""Model files as an attacker, or a damaged disk, would make them: edited copies of the stored examples."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EXAMPLES = Path(__file__).parent / "data" / "stored_models"
Node = dict[str, Any]


def copy_of(example: str, folder: Path) -> Path:
    """A copy of a stored example, to be edited."""
    target = folder / example
    shutil.copytree(EXAMPLES / example, target)
    return target


def members(path: Path) -> dict[str, bytes]:
    """The members of a skops archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path: Path, content: dict[str, bytes]) -> None:
    """Write a skops archive of these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def edit_schema(path: Path, edit: Callable[[Node], Node | None]) -> None:
    """Put the schema that `edit` changes or returns in place of the archive's own."""
    content = members(path)
    schema = json.loads(content["schema.json"])
    changed = edit(schema) or schema
    # Absent from a schema that is replaced as a whole.
    changed.setdefault("protocol", schema["protocol"])
    changed.setdefault("_skops_version", schema["_skops_version"])
    write_members(path, {**content, "schema.json": json.dumps(changed).encode()})


def node(loader: str, module: str, name: str, number: int, **more: Any) -> Node:
    """A node of a skops schema."""
    return {"__class__": name, "__module__": module, "__loader__": loader, "__id__": number, **more}


def text_node(value: object, number: int) -> Node:
    """A JSON value as a node."""
    return node("JsonNode", "builtins", "str", number, content=json.dumps(value), is_json=True)


def tuple_node(values: list[Node], number: int) -> Node:
    """A tuple as a node."""
    return node("TupleNode", "builtins", "tuple", number, content=values)


def dict_node(values: dict[str, Node], number: int) -> Node:
    """A dict with text keys as a node."""
    keys = [node("TypeNode", "builtins", "str", 7) for _ in values]
    return node(
        "DictNode", "builtins", "dict", number, content=values,
        key_types=node("ListNode", "builtins", "list", number + 1, content=keys),
    )  # fmt: skip


def call_node(module: str, name: str, *arguments: object) -> Node:
    """A node that calls `module.name(*arguments)` as soon as skops builds it."""
    content = tuple_node([text_node(one, 901 + number) for number, one in enumerate(arguments)], 900)
    return node("ConstructorFromReduceNode", module, name, 899, content=content)


def edit_array(path: Path, old: str, edit: Callable[[np.ndarray], np.ndarray | None]) -> None:
    """Change one array member of the archive."""
    content = members(path)
    array = np.load(io.BytesIO(content[old]), allow_pickle=False).copy()
    changed = edit(array)
    buffer = io.BytesIO()
    np.save(buffer, array if changed is None else changed, allow_pickle=False)
    write_members(path, {**content, old: buffer.getvalue()})


def node_arrays(path: Path) -> list[str]:
    """The array members that hold the nodes of trees."""
    return [
        name
        for name, data in members(path).items()
        if name.endswith(".npy") and np.load(io.BytesIO(data), allow_pickle=False).dtype.fields is not None
    ]
