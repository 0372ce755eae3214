"""Checks a skops archive before skops opens it: a zip file of limited size with numeric arrays and a schema."""

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
# Deflate compresses up to 1:1032. Small archives are exempt from the limit, since constant arrays compress well.
RATIO_FREE_BYTES = 64 * 2**20
MAX_RATIO = 200
FETCH_AGAIN = "download the model again, or train it again"
UNTRUSTED = "use only models from a store that you trust"
# Raised by zipfile, zlib, json and numpy for a damaged or hostile archive.
READ_ERRORS = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, TypeError, LookupError, ArithmeticError,
    AttributeError, NotImplementedError, RuntimeError, SyntaxError, tokenize.TokenError,
)  # fmt: skip

_MEMBER = re.compile(r"[0-9]{1,20}\.npy")
_NUMERIC = "biuf"
_MAX_DTYPE_BYTES = 4096
_ENCRYPTED = 0x1


def read_archive(file: IO[bytes], path: Path) -> tuple[dict[str, Any], frozenset[str]]:
    """Check the archive and return its schema and the names of its arrays; `path` is used in messages.

    Unpacks only the schema and the header of each array. Raises DataError for an archive that is damaged or too large,
    AccessError for an archive that skops would not write.
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
        raise DataError(f"{path}: {SCHEMA} is not a JSON object.", hint=FETCH_AGAIN)
    return schema, names - {SCHEMA}


def _check_members(archive: zipfile.ZipFile, path: Path) -> frozenset[str]:
    members = archive.infolist()
    names = frozenset(member.filename for member in members)
    if len(names) != len(members):
        raise AccessError(f"{path}: two members of the archive have the same name.", hint=UNTRUSTED)
    for member in members:
        if member.filename != SCHEMA and not _MEMBER.fullmatch(member.filename):
            raise AccessError(f"{path}: unexpected member {member.filename[:100]!r} in the archive.", hint=UNTRUSTED)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise AccessError(f"{path}: the member {member.filename} is a symbolic link.", hint=UNTRUSTED)
        if member.flag_bits & _ENCRYPTED:
            raise AccessError(f"{path}: the member {member.filename} is encrypted.", hint=UNTRUSTED)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise AccessError(
                f"{path}: the member {member.filename} has an unexpected compression method.", hint=UNTRUSTED
            )
    if SCHEMA not in names:
        raise DataError(f"{path}: the archive has no {SCHEMA}.", hint=FETCH_AGAIN)
    _check_sizes(members, path)
    return names


def _check_sizes(members: list[zipfile.ZipInfo], path: Path) -> None:
    # zipfile unpacks at most the declared size of a member, so the declared sizes limit the memory.
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    schema = next(member.file_size for member in members if member.filename == SCHEMA)
    if total > MAX_TOTAL_BYTES or schema > MAX_SCHEMA_BYTES:
        raise DataError(
            f"{path}: the uncompressed size is {total:,} bytes, of which {schema:,} are {SCHEMA}; "
            f"the limits are {MAX_TOTAL_BYTES:,} and {MAX_SCHEMA_BYTES:,}.",
            hint="train a smaller model",
        )
    if total > RATIO_FREE_BYTES and total > MAX_RATIO * max(packed, 1):
        raise AccessError(
            f"{path}: {packed:,} bytes decompress to {total:,}, more than {MAX_RATIO} times the size.", hint=UNTRUSTED
        )


def _check_array(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """Check that an array is numeric and has exactly the size that its header declares."""
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
        raise AccessError(f"{path}: {name} contains {str(dtype)[:100]}, not numbers.", hint=UNTRUSTED)
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
