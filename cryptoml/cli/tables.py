"""Tables that fit the width of the terminal; without a terminal, all columns are printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from cryptoml.reports.tables import Column

# Replaces the middle of a long text; a run name keeps its model and number.
ELLIPSIS = "…"
MIN_TEXT_WIDTH = 16
BEST = "*"


def print_columns(columns: Sequence[Column], *, title: str = "", wide: bool = False) -> int:
    """Print a table on standard output and return the number of hidden columns; `wide` hides none.

    Empty columns are never printed. The best values are marked with *.
    """
    from cryptoml.cli.console import print_table

    filled = [_plain(column) for column in columns if column.rank == 0 or any(column.cells)]
    width = terminal_width()
    shown = filled if wide or width is None else fit(filled, width)
    print_table(
        [column.title for column in shown],
        list(zip(*(column.cells for column in shown), strict=True)),
        title=title,
        align=[column.align for column in shown],
    )
    return len(filled) - len(shown)


def terminal_width() -> int | None:
    """Return the width of the terminal on standard output, or None without a terminal."""
    from cryptoml.cli.console import result_console

    return result_console().width if sys.stdout.isatty() else None


def fit(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that fit `width`: first hide columns of the highest rank, then shorten long texts."""
    shown = list(columns)
    while table_width(shown) > width and any(column.rank for column in shown):
        # Among equal ranks, the last column is hidden.
        last = max(range(len(shown)), key=lambda index: (shown[index].rank, index))
        del shown[last]
    for index, size in _shrunk_sizes(shown, table_width(shown) - width).items():
        shown[index] = replace(shown[index], cells=[shortened(text, size) for text in shown[index].cells])
    return shown


def _shrunk_sizes(columns: Sequence[Column], excess: int) -> dict[int, int]:
    """Return index -> width of the columns that may shrink; the widest shrink first, down to MIN_TEXT_WIDTH."""
    sizes = {index: _size(column) for index, column in enumerate(columns) if column.shrinks}
    for _ in range(excess):
        widest = max(sizes, key=lambda index: sizes[index], default=None)
        if widest is None or sizes[widest] <= MIN_TEXT_WIDTH:
            break
        sizes[widest] -= 1
    return sizes


def table_width(columns: Sequence[Column]) -> int:
    """Return the width of a line in characters: one space on each side of a column and one between columns."""
    return sum(_size(column) + 3 for column in columns) - 1


def shortened(text: str, size: int) -> str:
    """Shorten a text to `size` characters by removing its middle."""
    if len(text) <= size:
        return text
    end = (size - 1) // 2
    return f"{text[: size - 1 - end]}{ELLIPSIS}{text[len(text) - end :]}"


def _plain(column: Column) -> Column:
    """Return the column without control characters and with its best values marked."""
    from cryptoml.cli.console import printable

    cells = [f"{BEST if index in column.best else ''}{printable(text)}" for index, text in enumerate(column.cells)]
    return replace(column, title=printable(column.title), cells=cells)


def _size(column: Column) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, [column.title, *column.cells]))
