"""Checks a skops archive before skops opens it: a plain zip of bounded size with numeric arrays and a schema."""

from __future__ import annotations

import json
import math
import re
import stat
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cryptoml.errors import AccessError, CryptomlError, DataError

if TYPE_CHECKING:
    import numpy as np

SCHEMA = "schema.json"
MAX_TOTAL_BYTES = 4 * 2**30
MAX_SCHEMA_BYTES = 512 * 2**20
# Deflate reaches 1:1032. Below the first bound the ratio does not matter: constant arrays compress well.
RATIO_FREE_BYTES = 64 * 2**20
MAX_RATIO = 200
FETCH_AGAIN = "fetch the model again, or train it again"
UNTRUSTED = "use only models from a store that you trust"
# What reading a damaged or hostile archive raises, in zipfile, zlib, json and numpy.
READ_ERRORS = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, TypeError, LookupError, ArithmeticError,
    AttributeError, NotImplementedError, RuntimeError, SyntaxError, tokenize.TokenError,
)  # fmt: skip

_MEMBER = re.compile(r"[0-9]{1,20}\.npy")
_NUMERIC = "biuf"
_MAX_DTYPE_BYTES = 4096
_ENCRYPTED = 0x1


def read_archive(file: IO[bytes], path: Path) -> tuple[dict[str, Any], frozenset[str]]:
    """Check the archive and return its schema and the names of its arrays; `path` is for messages.

    Reads the schema and the header of each array, and unpacks nothing else. Raises DataError for an archive that is
    damaged or too large, AccessError for one that skops would not have written.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = _check_members(archive, path)
            for name in sorted(names - {SCHEMA}):
                _check_array(archive, name, path)
            schema = json.loads(archive.read(SCHEMA))
    except CryptomlError:
        raise
    except (*READ_ERRORS, MemoryError) as error:
        raise DataError(f"{path}: cannot be read as a skops archive ({error}).", hint=FETCH_AGAIN) from error
    if not isinstance(schema, dict):
        raise DataError(f"{path}: {SCHEMA} holds no object.", hint=FETCH_AGAIN)
    return schema, names - {SCHEMA}


def _check_members(archive: zipfile.ZipFile, path: Path) -> frozenset[str]:
    members = archive.infolist()
    names = frozenset(one.filename for one in members)
    if len(names) != len(members):
        raise AccessError(f"{path}: two members of the archive have the same name.", hint=UNTRUSTED)
    for one in members:
        if one.filename != SCHEMA and not _MEMBER.fullmatch(one.filename):
            raise AccessError(f"{path}: unexpected member {one.filename[:100]!r} in the archive.", hint=UNTRUSTED)
        if stat.S_ISLNK(one.external_attr >> 16):
            raise AccessError(f"{path}: the member {one.filename} is a symbolic link.", hint=UNTRUSTED)
        if one.flag_bits & _ENCRYPTED:
            raise AccessError(f"{path}: the member {one.filename} is encrypted.", hint=UNTRUSTED)
        if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise AccessError(f"{path}: the member {one.filename} has an unexpected compression.", hint=UNTRUSTED)
    if SCHEMA not in names:
        raise DataError(f"{path}: the archive has no {SCHEMA}.", hint=FETCH_AGAIN)
    _check_sizes(members, path)
    return names


def _check_sizes(members: list[zipfile.ZipInfo], path: Path) -> None:
    # zipfile unpacks no more of a member than its declared size, so the declared sizes bound the memory.
    total, packed = sum(one.file_size for one in members), sum(one.compress_size for one in members)
    schema = next(one.file_size for one in members if one.filename == SCHEMA)
    if total > MAX_TOTAL_BYTES or schema > MAX_SCHEMA_BYTES:
        raise DataError(
            f"{path}: unpacks to {total:,} bytes, {schema:,} of them {SCHEMA}; "
            f"at most {MAX_TOTAL_BYTES:,} and {MAX_SCHEMA_BYTES:,} are read.",
            hint="train a smaller model",
        )
    if total > RATIO_FREE_BYTES and total > MAX_RATIO * max(packed, 1):
        raise AccessError(
            f"{path}: {packed:,} bytes unpack to {total:,}, more than {MAX_RATIO} times as many.", hint=UNTRUSTED
        )


def _check_array(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """Numbers only, and exactly as many bytes as the header declares."""
    from numpy.lib import format as npy

    with archive.open(name) as member:
        version = npy.read_magic(member)
        if version == (1, 0):
            shape, _, dtype = npy.read_array_header_1_0(member)
        elif version == (2, 0):
            shape, _, dtype = npy.read_array_header_2_0(member)
        else:
            raise ValueError(f"{name} has the npy version {version}")
        start = member.tell()
    if not _is_numeric(dtype):
        raise AccessError(f"{path}: {name} holds {str(dtype)[:100]}, not numbers.", hint=UNTRUSTED)
    declared = math.prod(shape) * dtype.itemsize
    size = archive.getinfo(name).file_size - start
    if declared != size:
        raise ValueError(f"{name} declares {declared:,} bytes and has {size:,}")


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    if dtype.hasobject or not 0 < dtype.itemsize <= _MAX_DTYPE_BYTES:
        return False
    if dtype.fields is None:
        return dtype.subdtype is None and dtype.kind in _NUMERIC
    return all(
        part[0].fields is None and (part[0].subdtype[0] if part[0].subdtype else part[0]).kind in _NUMERIC
        for part in dtype.fields.values()
    )
