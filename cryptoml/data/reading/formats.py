"""FORMATS: all file formats of candles. To add one, add a file to this folder and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptoml.data.reading.columnar_files import read_feather, read_parquet
from cryptoml.data.reading.csv_file import read_csv
from cryptoml.data.reading.json_file import read_json
from cryptoml.data.reading.table import Columns, Table


@dataclass(frozen=True)
class FormatSpec:
    """One file format.

    endings: of the files that commands look for when no file is named. starts: first bytes that identify the format,
    after leading white space. by_ending: whether a file without any of the `starts` is identified by its ending.
    read: returns the table for a path, its bytes (decompressed, UTF-16 converted to UTF-8) and the given columns.
    """

    name: str
    endings: tuple[str, ...]
    read: Callable[[Path, bytes, Columns], Table]
    starts: tuple[bytes, ...] = ()
    by_ending: bool = False


CSV = FormatSpec("CSV", (".csv", ".csv.gz", ".tsv"), read_csv)

FORMATS: tuple[FormatSpec, ...] = (
    CSV,
    FormatSpec("Parquet", (".parquet", ".pq"), read_parquet, starts=(b"PAR1",)),
    FormatSpec("JSON", (".json", ".json.gz", ".jsonl", ".ndjson"), read_json, starts=(b"[", b"{"), by_ending=True),
    FormatSpec("Feather", (".feather",), read_feather, starts=(b"FEA1", b"ARRO")),
)
ENDINGS = tuple(ending for spec in FORMATS for ending in spec.endings)


def format_by_start(data: bytes) -> FormatSpec | None:
    """Identify a format by the first bytes of a file; None if no format has them."""
    head = data[:64].lstrip()
    return next((spec for spec in FORMATS if spec.starts and head.startswith(spec.starts)), None)


def format_by_ending(path: Path) -> FormatSpec:
    """Identify a format by the ending of a file; CSV if there is none."""
    name = path.name.lower()
    return next((spec for spec in FORMATS if spec.by_ending and name.endswith(spec.endings)), CSV)
