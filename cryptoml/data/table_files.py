"""Writes tables for users and other programs, as CSV or Parquet, atomically."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import UsageError
from cryptoml.system.files import replacing, translate_os_errors

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".csv.gz", ".parquet")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
# Text that a spreadsheet interprets as a formula (OWASP, CSV injection), and text that is a plain number.
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def check_table_path(path: Path) -> None:
    """Raise UsageError for a file name without a supported ending, before any work is done."""
    if not path.name.endswith(ENDINGS):
        raise UsageError(f"{path}: unsupported file format.", hint=f"end it with one of {', '.join(ENDINGS)}")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder.", hint="name a file")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write all columns without the index; an existing file is replaced atomically."""
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            if path.name.endswith(".parquet"):
                table.to_parquet(part, index=False)
            else:
                write_csv(_defused(table), part, gzipped=path.suffix == ".gz", index=False)


def write_csv(table: pd.DataFrame, path: Path, *, gzipped: bool, index: bool) -> None:
    """Write CSV with ISO times (UTC); the same table gives the same bytes, whatever the file is called."""
    if not gzipped:
        table.to_csv(path, index=index, date_format=_TIME)
        return
    # gzip's header would hold the time and the name of the file.
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as lines,
    ):
        table.to_csv(lines, index=index, date_format=_TIME)


def escape_formula(value: object) -> object:
    """Prefix text that a spreadsheet would run as a formula with an apostrophe; other values are unchanged."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def _defused(table: pd.DataFrame) -> pd.DataFrame:
    """Escape the text columns and headings of a table; columns of numbers and times are unchanged."""
    import pandas as pd
    from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

    texts = [not (is_numeric_dtype(kind) or is_datetime64_any_dtype(kind)) for kind in table.dtypes]
    columns = [
        table.iloc[:, position].astype(object).map(escape_formula) if is_text else table.iloc[:, position]
        for position, is_text in enumerate(texts)
    ]

    escaped = pd.concat(columns, axis=1) if columns else table.copy()
    escaped.columns = pd.Index([escape_formula(name) for name in table.columns])
    return escaped
