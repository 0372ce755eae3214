"""Tables that fit the terminal: as many columns as it has room for, and all of them where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from cryptoml.reports.tables import Column

# Between them a long text keeps its beginning and its end: for run names, the model and the number.
ELLIPSIS = "…"
LEAST_TEXT = 16
BEST = "*"


def print_columns(columns: Sequence[Column], *, title: str = "", wide: bool = False) -> int:
    """Print a table on standard output and return how many columns were left out; `wide` leaves none out.

    Columns without any text are never printed. The best values are marked with *.
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
    """The width of the terminal on standard output; None where there is none."""
    from cryptoml.cli.console import result_console

    return result_console().width if sys.stdout.isatty() else None


def fit(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that `width` has room for: the highest ranks are left out first, then long texts shrink."""
    shown = list(columns)
    while table_width(shown) > width and any(column.rank for column in shown):
        # Of equal ranks the last one is left out.
        worst = max(range(len(shown)), key=lambda place: (shown[place].rank, place))
        del shown[worst]
    for place, size in _shrunk_sizes(shown, table_width(shown) - width).items():
        shown[place] = replace(shown[place], cells=[shortened(text, size) for text in shown[place].cells])
    return shown


def _shrunk_sizes(columns: Sequence[Column], excess: int) -> dict[int, int]:
    """Place -> width of the columns that shrink, the widest ones first, down to LEAST_TEXT."""
    sizes = {place: _size(column) for place, column in enumerate(columns) if column.shrinks}
    for _ in range(excess):
        widest = max(sizes, key=lambda place: sizes[place], default=None)
        if widest is None or sizes[widest] <= LEAST_TEXT:
            break
        sizes[widest] -= 1
    return sizes


def table_width(columns: Sequence[Column]) -> int:
    """The characters of a line, with a space on each side of a column and two between columns."""
    return sum(_size(column) + 3 for column in columns) - 1


def shortened(text: str, size: int) -> str:
    """The text, without its middle where it is longer than `size`."""
    if len(text) <= size:
        return text
    end = (size - 1) // 2
    return f"{text[: size - 1 - end]}{ELLIPSIS}{text[len(text) - end :]}"


def _plain(column: Column) -> Column:
    """The column without control characters, its best values marked."""
    from cryptoml.cli.console import printable

    cells = [f"{BEST if place in column.best else ''}{printable(text)}" for place, text in enumerate(column.cells)]
    return replace(column, title=printable(column.title), cells=cells)


def _size(column: Column) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, [column.title, *column.cells]))
