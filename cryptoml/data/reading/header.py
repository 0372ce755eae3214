"""Finds the header line of a text file and its delimiter, or derives the names of columns without a header."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptoml.data.reading.column_names import aliases, is_header, name_key
from cryptoml.data.reading.layouts import columns_hint, guess_names
from cryptoml.errors import DataError

_TITLE_LINES = 30
_MIN_WIDTH = 5
# The comma is last: with decimal commas it is as frequent as the delimiter.
_DELIMITERS = ";\t|,"


@dataclass(frozen=True)
class Header:
    """The number of lines before the rows, the unique column names, the delimiter, and a note on derived names."""

    skipped: int
    names: list[str]
    delimiter: str
    note: str = ""


def find_header(path: Path, lines: list[str], columns: Sequence[str] | Mapping[str, str] | None) -> Header:
    """Determine the header of a text file from its first lines.

    columns: the file's columns in order, or a mapping from our names to the file's. Raises DataError if no line
    names the prices, `columns` does not either, and the values allow more than one reading.
    """
    given_names = None if not columns or isinstance(columns, Mapping) else list(columns)
    mapped = set(columns.values()) if isinstance(columns, Mapping) else set()
    header = _named_line(lines, mapped)
    note = ""
    if header is not None:
        start, names, delimiter = header
    else:
        delimiter = max(_DELIMITERS, key=lambda mark: max(line.count(mark) for line in lines[:_TITLE_LINES]))
        start = next((number for number, line in enumerate(lines) if line), 0)
        names = _cells(lines[start], delimiter)
        if given_names is not None and not any(_is_number(cell) for cell in names):
            start += 1
        elif given_names is None:
            names = _guessed(path, lines[start:], delimiter)
            note = f"no header: the columns are read as {', '.join(names)}"
    if given_names is not None:
        require_width(path, given_names, len(names))
        names = given_names
    unique = [name if name not in names[:at] else f"{name}.{at + 1}" for at, name in enumerate(names)]
    return Header(start, unique, delimiter, note)


def _guessed(path: Path, lines: Sequence[str], delimiter: str) -> list[str]:
    rows = [_cells(line, delimiter) for line in lines if line]
    # The last line may be cut.
    has_numbers = bool(rows) and any(_is_number(cell) for cell in rows[0])
    names = guess_names(rows[:-1] if len(rows) > 2 else rows) if has_numbers else None
    if names is not None:
        return names
    first_cells = ", ".join(rows[0][:8])[:120] if rows else ""
    width = len(rows[0]) if rows else 0
    if rows and name_key(rows[0][0]) in aliases("time") and any(_is_single_price(cell) for cell in rows[0]):
        raise DataError(
            f"{path}: contains prices, but no open, high, low and close; the first line has {first_cells}.",
            hint="get candles, for example with cryptoml extract-data",
        )
    if 1 < width < _MIN_WIDTH:
        raise DataError(
            f"{path}: not candles: {width} columns ({first_cells}), without time, open, high, low and close.",
            hint="get candles, for example with cryptoml extract-data",
        )
    raise DataError(
        f"{path}: not candles: no columns for open, high, low and close; the first line has {first_cells}.",
        hint=columns_hint(len(rows[0]) if rows else 6),
    )


def _named_line(lines: list[str], mapped: set[str]) -> tuple[int, list[str], str] | None:
    """Return the number of lines up to the header, the names and the delimiter; None if no line names the prices."""
    for number, line in enumerate(lines[:_TITLE_LINES]):
        for delimiter in _DELIMITERS:
            cells = _cells(line, delimiter)
            if not is_header(cells) and not (mapped and mapped <= set(cells)):
                continue
            # yfinance writes two more lines: the symbol, and the name of the time column.
            following = [_cells(other, delimiter)[0] for other in lines[number + 1 : number + 3]]
            if cells[0] == "Price" and following in (["Ticker", "Date"], ["Ticker", "Datetime"]):
                return number + 3, [following[1], *cells[1:]], delimiter
            return number + 1, cells, delimiter
    return None


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), []) or [""]
    except csv.Error:
        cells = line.split(delimiter)
    return [cell.strip().strip('"').strip() for cell in cells]


def _is_single_price(cell: str) -> bool:
    return name_key(cell) in aliases("close") or name_key(cell).endswith("price")


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+([.,]\d*)?([eE][+-]?\d+)?", cell))


def require_width(path: Path, columns: Sequence[str], width: int) -> None:
    """Raise DataError if the number of given names differs from the number of columns."""
    if len(columns) != width:
        raise DataError(
            f"{path}: {len(columns)} column names are given, but the file has {width} columns.",
            hint=columns_hint(width),
        )
