"""Unpacks compressed files and archives with one table inside, within a limit of size."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from cryptoml.errors import DataError

# A packed file may not be larger than this when unpacked, unless it is smaller than MAX_RATIO times the packed one.
MAX_BYTES = 1 << 30
MAX_RATIO = 50
# ValueError and struct.error: from offsets in a damaged zip archive.
_DAMAGED = (
    EOFError, OSError, ValueError, OverflowError, NotImplementedError, struct.error, zlib.error, lzma.LZMAError,
    zipfile.BadZipFile,
)  # fmt: skip


def _zstd(file: io.BytesIO) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(file, "zstd")


_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x28\xb5\x2f\xfd": _zstd,
}


def unpack(path: Path, data: bytes) -> bytes:
    """Return the content of a packed file, of a zip archive its only table; other data is returned as it is.

    A spreadsheet stays packed. Raises DataError for a damaged file, several tables, or content beyond the limit.
    """
    limit = max(MAX_BYTES, MAX_RATIO * len(data))
    try:
        for start, opener in _OPENERS.items():
            if data.startswith(start):
                with opener(io.BytesIO(data)) as stream:
                    return _limited(path, stream, limit)
        if data.startswith(b"PK\x03\x04") and not is_workbook(data):
            with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(_only_table(path, archive)) as member:
                return unpack(path, _limited(path, member, limit))
    except RuntimeError as error:
        raise DataError(f"{path}: the archive is encrypted.", hint="unpack it") from error
    except _DAMAGED as error:
        raise DataError(f"{path}: the compressed file is damaged or truncated.", hint="get the file again") from error
    return data


def is_workbook(data: bytes) -> bool:
    """Return whether the data is an Excel workbook."""
    if not data.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(name.startswith("xl/workbook") for name in archive.namelist())
    except (*_DAMAGED, RuntimeError):
        return False


def _only_table(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    found = [
        info
        for info in archive.infolist()
        if not info.is_dir()
        and not PurePosixPath(info.filename).name.startswith(".")
        and not info.filename.startswith("__MACOSX/")
        and not info.filename.lower().endswith((".txt", ".md", ".pdf", ".checksum"))
    ]
    if len(found) != 1:
        names = ", ".join(info.filename for info in found[:5])
        what = f"contains {len(found)} files ({names})" if found else "contains no table"
        raise DataError(f"{path}: the archive {what}.", hint="unpack the file that you want")
    return found[0]


def _limited(path: Path, stream: Any, limit: int) -> bytes:
    data: bytes = stream.read(limit + 1)
    if len(data) > limit:
        raise DataError(
            f"{path}: unpacked, it has more than {limit:,} bytes, {MAX_RATIO} times those of the file.",
            hint="unpack it, and check that it contains candles",
        )
    return data
