"""Reads a file of any format in `formats.FORMATS` as a table with columns named by role."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cryptoml.data.reading.archives import is_workbook, unpack
from cryptoml.data.reading.csv_file import HEAD_BYTES
from cryptoml.data.reading.excel_file import read_excel
from cryptoml.data.reading.formats import CSV, FORMATS, format_by_ending, format_by_start
from cryptoml.data.reading.table import Columns, Table
from cryptoml.errors import DataError

# Files of other kinds by their first bytes, and the hint for each.
_OTHER_FILES = {
    b"\xd0\xcf\x11\xe0": ("is a workbook in the old format of Excel", "save it as .xlsx or CSV"),
    b"7z\xbc\xaf": ("is compressed with 7z", "unpack it"),
    b"Rar!": ("is compressed with RAR", "unpack it"),
    b"version https://git-lfs": ("is a Git LFS pointer, not the file itself", "get the file with git lfs pull"),
    b"outs:": ("is a DVC pointer, not the file itself", "run cryptoml pull-data, then use the name without .dvc"),
}

_WEB_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")


def read_table(path: Path, columns: Columns = None, *, sheet: str | None = None) -> Table:
    """Read a file whose format is identified by its first bytes, else by its ending; raises DataError.

    columns: the file's columns in order, or a mapping from our names to the file's. sheet: of a workbook.
    """
    data = unpack(path, _bytes(path))
    if encoding := _wide_encoding(data):
        data = data.decode(encoding, errors="replace").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    if is_workbook(data):
        return replace(read_excel(path, data, columns, sheet), format="Excel")
    file_format = format_by_start(data)
    if file_format is None:
        for start, (fact, hint) in _OTHER_FILES.items():
            if data.startswith(start):
                raise DataError(f"{path}: {fact}.", hint=hint)
        if data[:200].lstrip().lower().startswith(_WEB_PAGES):
            raise DataError(f"{path}: is a web page, not a table.", hint="download the file itself")
        if not data[:HEAD_BYTES].strip() and not data.strip():
            raise DataError(f"{path}: is empty.", hint="get the file again")
        file_format = format_by_ending(path)
        if file_format is CSV and b"\x00" in data[:4096]:
            names = ", ".join(spec.name for spec in FORMATS)
            raise DataError(f"{path}: is not a text file.", hint=f"use one of these formats: {names}")
    return replace(file_format.read(path, data, columns), format=file_format.name)


def _wide_encoding(data: bytes) -> str | None:
    """Return the encoding of text with two or four bytes per character; None for other data."""
    head = data[:HEAD_BYTES]
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    for encoding, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if len(zeros) > 8 and zeros.count(0) > 0.9 * len(zeros) and others.count(0) == 0:
            return encoding
    return None


def require_file(path: Path) -> None:
    """Raise DataError if the file does not exist; fast, before any library is loaded to read it."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder.", hint="name a file of candles")
    if not path.exists() and not path.is_symlink():
        raise DataError(f"{path}: there is no such file.", hint="check the path, or get it with cryptoml pull-data")


def _bytes(path: Path) -> bytes:
    require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}.", hint="check the path and its permissions"
        ) from error
