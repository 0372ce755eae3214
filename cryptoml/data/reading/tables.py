"""Reads a file of any format in `formats.FORMATS` as a table with columns named by role."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from cryptoml.data.reading.csv_file import HEAD_BYTES
from cryptoml.data.reading.formats import CSV, FORMATS, format_by_ending, format_by_start
from cryptoml.data.reading.table import Columns, Table
from cryptoml.errors import DataError

# Files of other kinds by their first bytes, and the hint for each.
_OTHER_FILES = {
    b"PK": ("is a zip archive or a spreadsheet", "unpack it, or export it as CSV"),
    b"BZh": ("is compressed with bzip2", "decompress it"),
    b"\xfd7zXZ": ("is compressed with xz", "decompress it"),
    b"\x28\xb5\x2f\xfd": ("is compressed with zstd", "decompress it"),
    b"version https://git-lfs": ("is a Git LFS pointer, not the file itself", "get the file with git lfs pull"),
    b"outs:": ("is a DVC pointer, not the file itself", "run cryptoml pull-data, then use the name without .dvc"),
}


def read_table(path: Path, columns: Columns = None) -> Table:
    """Read a file whose format is identified by its first bytes, else by its ending; raises DataError.

    columns: the file's columns in order, or a mapping from our names to the file's.
    """
    data = _bytes(path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = data.decode("utf-16", errors="replace").encode()
    file_format = format_by_start(data)
    if file_format is None:
        for start, (fact, hint) in _OTHER_FILES.items():
            if data.startswith(start):
                raise DataError(f"{path}: {fact}.", hint=hint)
        if not data[:HEAD_BYTES].strip() and not data.strip():
            raise DataError(f"{path}: is empty.", hint="get the file again")
        file_format = format_by_ending(path)
        if file_format is CSV and b"\x00" in data[:4096]:
            names = ", ".join(spec.name for spec in FORMATS)
            raise DataError(f"{path}: is not a text file.", hint=f"use one of these formats: {names}")
    return file_format.read(path, data, columns)


def require_file(path: Path) -> None:
    """Raise DataError if the file does not exist; fast, before any library is loaded to read it."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder.", hint="name a file of candles")
    if not path.exists() and not path.is_symlink():
        raise DataError(f"{path}: there is no such file.", hint="check the path, or get it with cryptoml pull-data")


def _bytes(path: Path) -> bytes:
    require_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}.", hint="check the path and its permissions"
        ) from error
    try:
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the compressed file is damaged or truncated.", hint="get the file again") from error
