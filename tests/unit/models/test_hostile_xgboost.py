"""A damaged or replaced estimator.ubj is refused with a message before XGBoost reads it."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cryptoml.errors import AccessError, DataError
from cryptoml.models.forecaster import load_forecaster
from cryptoml.models.storage.ubjson import read_ubj
from tests.hostile import copy_of

ROOT = Path(__file__).parents[3]


def _after(data: bytes, key: bytes, skip: int, new: bytes) -> bytes:
    """Put `new` at `skip` bytes after the first occurrence of a key."""
    at = data.index(key) + len(key) + skip
    return data[:at] + new + data[at + len(new) :]


def _int(number: int) -> bytes:
    return struct.pack(">i", number)


# After its key, a typed array has "[$l#L" and eight bytes of length.
_HEADER = 13
DEEP = b"{L\0\0\0\0\0\0\0\x01a" + b"[#L\0\0\0\0\0\0\0\x01" * 100_000
CASES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "last byte lost": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "garbage": lambda data: os.urandom(500),
    "pickle": lambda data: pickle.dumps([1, 2]),
    "JSON": lambda data: json.dumps({"learner": {}}).encode(),
    "nested JSON": lambda data: b'{"a":' * 100_000,
    "nested arrays": lambda data: DEEP,
    "nested objects": lambda data: b"{L\0\0\0\0\0\0\0\x01a" * 100_000,
    "huge key": lambda data: b"{L\x7f" + b"\xff" * 7 + b"a",
    "negative length": lambda data: b"{L\xff" + b"\xff" * 7 + b"a",
    "huge array": lambda data: _after(data, b"base_weights", 5, struct.pack(">q", 2**62)),
    "no model": lambda data: b"{}",
    "left child beyond": lambda data: _after(data, b"left_children", _HEADER, _int(2**30)),
    "left child before": lambda data: _after(data, b"left_children", _HEADER, _int(-7)),
    "left child is the node": lambda data: _after(data, b"left_children", _HEADER, _int(0)),
    "both children the same": lambda data: _after(data, b"right_children", _HEADER, _int(1)),
    "right child alone": lambda data: _after(data, b"right_children", _HEADER + 4, _int(2)),
    "wrong parent": lambda data: _after(data, b"parents", _HEADER + 4, _int(3)),
    "feature beyond": lambda data: _after(data, b"split_indices", _HEADER, _int(10**6)),
    "category split": lambda data: _after(data, b"split_type", _HEADER, b"\x01"),
    "other number of nodes": lambda data: _after(data, b"num_nodesSL", 8, b"9"),
    "other number of features": lambda data: _after(data, b"num_featureSL", 8, b"99"),
    "other number of trees": lambda data: _after(data, b"num_treesSL", 8, b"9"),
    "other objective": lambda data: data.replace(b"reg:squarederror", b"reg:pseudohubere"),
    "other booster": lambda data: data.replace(b"gbtree", b"dartxx"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_file_is_a_data_error(case: str, tmp_path: Path) -> None:
    folder = copy_of("xgb", tmp_path)
    path = folder / "estimator.ubj"
    damaged = CASES[case](path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"estimator\.ubj: cannot be read as an XGBoost model") as caught:
        load_forecaster(folder)
    assert len(caught.value.fact) < 600


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    folder = copy_of("xgb", tmp_path)
    path = folder / "estimator.ubj"
    path.rename(folder / "other.ubj")
    path.symlink_to("other.ubj")
    with pytest.raises(AccessError, match="symbolic link"):
        load_forecaster(folder)


def test_the_reader_parses_files_of_xgboost(tmp_path: Path) -> None:
    from xgboost import Booster

    folder = copy_of("xgb", tmp_path)
    booster = Booster(model_file=str(folder / "estimator.ubj"))
    booster.save_model(folder / "as.json")
    expected = json.loads((folder / "as.json").read_text())["learner"]["gradient_booster"]["model"]["trees"]
    found = read_ubj((folder / "estimator.ubj").read_bytes())["learner"]["gradient_booster"]["model"]["trees"]
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["split_indices"].values.tolist() == theirs["split_indices"]
        assert ours["left_children"].values.tolist() == theirs["left_children"]


def test_a_deep_chain_of_nodes_is_refused() -> None:
    import numpy as np

    from cryptoml.models.storage.boosters import MAX_TREE_DEPTH, _check_nodes

    def arrays(depth: int) -> dict[str, np.ndarray]:
        left, right = np.full(2 * depth + 1, -1), np.full(2 * depth + 1, -1)
        left[: 2 * depth : 2], right[: 2 * depth : 2] = np.arange(1, 2 * depth, 2), np.arange(2, 2 * depth + 1, 2)
        left = np.where(np.arange(len(left)) % 2 == 0, left, -1)
        parents = np.repeat(np.arange(0, 2 * depth, 2), 2)
        return {
            "left_children": left, "right_children": right, "parents": np.array([2**31 - 1, *parents]),
            "split_indices": np.zeros(len(left), dtype=int),
        }  # fmt: skip

    _check_nodes(arrays(MAX_TREE_DEPTH - 1), 2 * MAX_TREE_DEPTH - 1, 1)
    with pytest.raises(ValueError, match="depth"):
        _check_nodes(arrays(MAX_TREE_DEPTH + 1), 2 * MAX_TREE_DEPTH + 3, 1)


def test_mutated_files_never_crash_the_process(tmp_path: Path) -> None:
    """After random changes, each file is refused or can forecast; the process does not crash or use much memory."""
    copy_of("xgb", tmp_path)
    script = """
import random, resource, sys, warnings
from pathlib import Path
import numpy as np
from cryptoml.errors import DataError
from cryptoml.models.forecaster import load_forecaster
warnings.simplefilter("ignore")
folder, rng = Path(sys.argv[1]), random.Random(5)
path = folder / "estimator.ubj"
kept = path.read_bytes()
rows = np.random.default_rng(0).normal(size=(50, 32)).astype("float32")
rows[0], rows[1] = np.nan, np.inf
load_forecaster(folder)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
refused = passed = 0
for _ in range(400):
    data = bytearray(kept)
    at, kind = rng.randrange(len(data)), rng.randrange(5)
    if kind == 0: data[at] = rng.randrange(256)
    elif kind == 1: data[at] ^= 1 << rng.randrange(8)
    elif kind == 2: del data[at:at + rng.randrange(1, 20)]
    elif kind == 3: data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
    else: data[at:at + 4] = rng.choice((b"\\x7f\\xff\\xff\\xff", b"\\xff\\xff\\xff\\xff", b"\\0\\0\\0\\0"))
    path.write_bytes(data)
    try:
        load_forecaster(folder).estimator.predict(rows)
        passed += 1
    except DataError:
        refused += 1
print(refused, passed, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "xgb")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    refused, passed, mebibytes = map(int, done.stdout.split())
    assert refused > 200
    assert passed > 0
    assert mebibytes < 200
