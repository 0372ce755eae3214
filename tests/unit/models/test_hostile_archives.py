"""An invalid archive is refused with a message before skops opens it."""

from __future__ import annotations

import json
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cryptoml.errors import AccessError, DataError
from cryptoml.models.forecaster import load_forecaster
from tests.hostile import (
    copy_of,
    members,
    write_members,
)


def _header(text: str) -> Callable[[Path], None]:
    """Return a function that writes an array with the header `text`, which numpy parses as Python literals."""

    def write(path: Path) -> None:
        data = text.encode("latin1")
        array = b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data
        write_members(path, {**members(path), "1.npy": array})

    return write


def _zip(*names: str, flag: int = 0, mode: int = 0, **more: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        content = members(path)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
            for name in names:
                extra = zipfile.ZipInfo(name)
                extra.external_attr = mode << 16
                archive.writestr(extra, b"x")

    return write


def _encrypted(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def _wrong_crc(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 16] ^= 0xFF
    path.write_bytes(data)


def _bomb(path: Path) -> None:
    content = members(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        with archive.open("1.npy", "w") as member:
            for _ in range(100):
                member.write(bytes(2**20))


def _declares_more(path: Path) -> None:
    content = members(path)
    name = next(one for one in content if one.endswith(".npy"))
    header = content[name].replace(b"(32,)", b"(9999999999999,)", 1).replace(b"()", b"(9999999999999,)", 1)
    write_members(path, {**content, name: header})


def _objects(path: Path) -> None:
    import io

    content = members(path)
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    write_members(path, {**content, "1.npy": buffer.getvalue()})


ARCHIVES: dict[str, tuple[type[Exception], Callable[[Path], object]]] = {
    "empty": (DataError, lambda path: path.write_bytes(b"")),
    "garbage": (DataError, lambda path: path.write_bytes(os.urandom(500))),
    "pickle": (DataError, lambda path: path.write_bytes(pickle.dumps([1, 2, 3]))),
    "truncated": (DataError, lambda path: path.write_bytes(path.read_bytes()[:-30])),
    "cut in half": (DataError, lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])),
    "wrong checksum": (DataError, _wrong_crc),
    "missing": (DataError, lambda path: path.unlink()),
    "folder": (DataError, lambda path: (path.unlink(), path.mkdir())),
    "named pipe": (DataError, lambda path: (path.unlink(), os.mkfifo(path))),
    "no schema": (DataError, lambda path: write_members(path, {"1.npy": b"x"})),
    "schema of another kind": (DataError, lambda path: write_members(path, {"schema.json": b"[]"})),
    "deep schema": (DataError, lambda path: write_members(path, {"schema.json": b"[" * 100_000})),
    "array with a huge shape": (DataError, _declares_more),
    "array of objects": (AccessError, _objects),
    "array header without an end": (DataError, _header("{'descr': (")),
    "array header with an open text": (DataError, _header("'''")),
    "array header with wrong indents": (DataError, _header("  x\n y")),
    "array header with a list as a key": (DataError, _header("{[]: 1}")),
    "array type that is no Python": (DataError, _header("{'descr': '(1,f4', 'fortran_order': False, 'shape': (1,)}")),
    "array type without parts": (DataError, _header("{'descr': (), 'fortran_order': False, 'shape': (1,)}")),
    "zip in place of an array": (DataError, lambda path: write_members(path, {**members(path), "1.npy": b"PK\3\4"})),
    "pickle in place of an array": (
        DataError,
        lambda path: write_members(path, {**members(path), "1.npy": pickle.dumps([1] * 100)}),
    ),
    "parent folder": (AccessError, _zip("../1.npy")),
    "absolute": (AccessError, _zip("/tmp/1.npy")),
    "backslash": (AccessError, _zip("..\\1.npy")),
    "pickle beside": (AccessError, _zip("1.pkl")),
    "symbolic link inside": (AccessError, _zip("1.npy", mode=stat.S_IFLNK | 0o777)),
    "encrypted": (AccessError, _encrypted),
    "bomb": (AccessError, _bomb),
    "symbolic link": (AccessError, lambda path: path.rename(path.with_name("x")) and path.symlink_to("x")),
    "dangling link": (AccessError, lambda path: (path.unlink(), path.symlink_to("nowhere"))),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_invalid_archive_is_refused(kind: str, tmp_path: Path) -> None:
    expected, damage = ARCHIVES[kind]
    for file in ("estimator.skops", "scaler.skops"):
        if (file, kind) == ("scaler.skops", "missing"):
            continue  # A model may have no scaler.
        folder = copy_of("ridge", tmp_path / file)
        damage(folder / file)
        with pytest.raises(expected) as caught:
            load_forecaster(folder)
        assert file in caught.value.fact  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_members_are_refused(tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    _zip("schema.json")(folder / "estimator.skops")
    with pytest.raises(AccessError, match="the same name"):
        load_forecaster(folder)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy_of("ridge", tmp_path)
    _bomb(folder / "estimator.skops")

    def unpack(*ignored: object, **more: object) -> bytes:
        raise AssertionError("a member was unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "open", unpack)
    with pytest.raises(AccessError, match="times the size"):
        load_forecaster(folder)


def test_the_schema_limit_allows_the_largest_forest() -> None:
    """5,000 trees, the maximum for rf, each as large as a tree of the example."""
    from cryptoml.models.storage.archive import MAX_RATIO, MAX_SCHEMA_BYTES
    from tests.hostile import EXAMPLES

    with zipfile.ZipFile(EXAMPLES / "rf-sklearn" / "estimator.skops") as archive:
        schema = archive.getinfo("schema.json")
    trees = json.loads((EXAMPLES / "rf-sklearn" / "forecaster.json").read_text())["params"]["n_estimators"]
    assert schema.file_size / trees * 5000 < MAX_SCHEMA_BYTES
    assert schema.file_size / schema.compress_size < MAX_RATIO / 4
