"""Excel workbooks as tables; needs openpyxl, the extra `excel`."""

from __future__ import annotations

import csv
import importlib.util
import io
from datetime import datetime, time
from pathlib import Path

from cryptoml.data.reading.column_names import is_header
from cryptoml.data.reading.csv_file import read_csv
from cryptoml.data.reading.table import Columns, Table
from cryptoml.errors import DataError

_TITLE_ROWS = 30


def read_excel(path: Path, data: bytes, columns: Columns, sheet: str | None = None) -> Table:
    """Read the sheet that contains candles, or the one with the given name."""
    if importlib.util.find_spec("openpyxl") is None:
        raise DataError(f"{path}: reading Excel files needs openpyxl.", hint="pip install 'cryptoml[excel]'")
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except Exception as error:  # openpyxl raises errors of many types for a damaged workbook; they are translated
        raise DataError(f"{path}: is a damaged workbook: {error}.", hint="get the file again") from error
    names = list(book.sheetnames)
    if sheet is not None and sheet not in names:
        raise DataError(f"{path}: has no sheet {sheet!r}; it has {', '.join(names)}.", hint=f"--sheet {names[0]!r}")
    texts = {name: _text(book[name].iter_rows(values_only=True)) for name in ([sheet] if sheet else names)}
    texts = {name: text for name, text in texts.items() if text.strip()}
    fitting = [name for name, text in texts.items() if columns or _has_header(text)] or list(texts)
    if not fitting:
        raise DataError(f"{path}: is empty.", hint="get the file again")
    if len(fitting) > 1:
        raise DataError(f"{path}: has several sheets: {', '.join(fitting)}.", hint=f"--sheet {fitting[0]!r}")
    return read_csv(path, texts[fitting[0]].encode(), columns)


def _text(rows: object) -> str:
    """Return the rows as CSV; rows and columns without any value are omitted."""
    cells = [[_cell(value) for value in row] for row in rows]  # type: ignore[attr-defined]
    used = [any(row[at] for row in cells if at < len(row)) for at in range(max(map(len, cells), default=0))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in cells:
        if any(row):
            writer.writerow([row[at] if at < len(row) else "" for at, is_used in enumerate(used) if is_used])
    return out.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds" if value.microsecond else "seconds")
    if isinstance(value, time):
        return value.isoformat(timespec="seconds")
    return repr(value) if isinstance(value, float) else str(value)


def _has_header(text: str) -> bool:
    return any(is_header(line.split(",")) for line in text.splitlines()[:_TITLE_ROWS])
