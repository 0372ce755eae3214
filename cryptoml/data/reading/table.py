"""A file's rows as a table whose columns are named by role; every format is read into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.data.reading.columns import assign_roles
from cryptoml.data.reading.header import require_width

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

NULLS = (
    "", "NULL", "null", "NaN", "nan", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaT", "None", "none", "\\N", "-", "--",
    "\N{EN DASH}", "\N{EM DASH}",
)  # fmt: skip

# The file's columns in order, or a mapping from role to column name.
Columns = Sequence[str] | Mapping[str, str] | None


@dataclass(frozen=True)
class Table:
    """The rows of a file with columns named by role (see `columns.Roles`); other columns are omitted.

    names and is_close_time: as in `columns.Roles`. format: name of the file's format.
    lines: line number of each row, or that of row 0 if no line is blank; None for formats without lines.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    lines: NDArray[np.int64] | int | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    is_close_time: bool = False
    format: str = ""

    def where(self, row: int) -> str:
        """Describe the position of a row for messages."""
        if self.lines is None:
            return f"row {row + 1}"
        return f"line {self.lines + row if isinstance(self.lines, int) else self.lines[row]}"


def renamed(path: Path, frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Rename the columns to a sequence of names; a mapping changes nothing here."""
    if not columns or isinstance(columns, Mapping):
        return frame
    require_width(path, columns, frame.shape[1])
    return frame.set_axis(list(columns), axis=1)


def to_table(path: Path, frame: pd.DataFrame, columns: Columns, lines: NDArray[np.int64] | int | None = None) -> Table:
    """Name the columns by role; raises DataError if a role is missing or ambiguous."""
    names = [str(name) for name in frame.columns]
    mapping = columns if isinstance(columns, Mapping) else None
    roles = assign_roles(str(path), frame.set_axis(names, axis=1), mapping, names)
    return Table(roles.frame, roles.notes, lines, roles.names, roles.is_close_time)
