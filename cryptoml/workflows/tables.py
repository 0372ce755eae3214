"""Tables written for other programs: CSV or Parquet, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cryptoml.errors import UsageError
from cryptoml.tracking.files import in_words

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".csv.gz", ".parquet")


def check_table_path(path: Path) -> None:
    """Raise UsageError for a file name that says no known format, before any work is done."""
    if not path.name.endswith(ENDINGS):
        raise UsageError(f"{path}: its ending says no format.", mend=f"end it with one of {', '.join(ENDINGS)}")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder.", mend="name a file")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write all columns without the index; an older file is replaced when the new one is whole."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with in_words(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if path.name.endswith(".parquet"):
                table.to_parquet(part, index=False)
            else:
                packed: Literal["gzip"] | None = "gzip" if path.name.endswith(".gz") else None
                table.to_csv(part, index=False, compression=packed, date_format="%Y-%m-%dT%H:%M:%SZ")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
