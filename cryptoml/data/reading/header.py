"""The line of a text file that names the columns, and the sign that stands between them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptoml.data.reading.columns import NAME_THEM, is_header
from cryptoml.errors import DataError

EXCHANGE_DUMP = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades",
    "taker_base_volume", "taker_quote_volume", "ignore", "a", "b", "c", "d",
)  # fmt: skip
_TITLE_LINES = 30
# A comma last: where decimals have one, it is as frequent as the sign between the columns.
_DELIMITERS = ";\t|,"


def find_header(
    path: Path, lines: list[str], columns: Sequence[str] | Mapping[str, str] | None
) -> tuple[int, list[str], str]:
    """How many lines come before the rows, the columns' names, each different, and the sign between columns.

    columns: the file's columns in order, or a mapping from our names to the file's. Raises DataError where no line
    names the prices and nobody else does.
    """
    given = None if not columns or isinstance(columns, Mapping) else list(columns)
    mapped = set(columns.values()) if isinstance(columns, Mapping) else set()
    found = _named_line(lines, mapped)
    if found is not None:
        start, names, delimiter = found
    else:
        delimiter = max(_DELIMITERS, key=lambda mark: max(line.count(mark) for line in lines[:_TITLE_LINES]))
        start = next((place for place, line in enumerate(lines) if line), 0)
        names = _cells(lines[start], delimiter)
        if given is not None and not any(_is_number(cell) for cell in names):
            start += 1
        elif given is None and len(names) in (12, 16) and names[0].isdigit():
            names = list(EXCHANGE_DUMP[: len(names)])
        elif given is None:
            shown = ", ".join(names[:8])
            raise DataError(
                f"{path}: these are not candles: columns for open, high, low and close were looked for, "
                f"the first line has {shown[:120]}.",
                hint=NAME_THEM,
            )
    if given is not None:
        need_width(path, given, len(names))
        names = given
    return start, [name if name not in names[:at] else f"{name}.{at + 1}" for at, name in enumerate(names)], delimiter


def _named_line(lines: list[str], mapped: set[str]) -> tuple[int, list[str], str] | None:
    """The lines up to and with the header, its names and the sign between them; None where no line names prices."""
    for place, line in enumerate(lines[:_TITLE_LINES]):
        for delimiter in _DELIMITERS:
            cells = _cells(line, delimiter)
            if not is_header(cells) and not (mapped and mapped <= set(cells)):
                continue
            # yfinance writes two lines more: the market, and the name of the time.
            below = [_cells(other, delimiter)[0] for other in lines[place + 1 : place + 3]]
            if cells[0] == "Price" and below in (["Ticker", "Date"], ["Ticker", "Datetime"]):
                return place + 3, [below[1], *cells[1:]], delimiter
            return place + 1, cells, delimiter
    return None


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"').strip() for cell in line.split(delimiter)]


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+([.,]\d*)?([eE][+-]?\d+)?", cell))


def need_width(path: Path, columns: Sequence[str], width: int) -> None:
    """Raise DataError where another number of columns is named than the file has."""
    if len(columns) != width:
        raise DataError(
            f"{path}: {len(columns)} columns are named and the file has {width}.", hint="name each of them, in order"
        )
