"""Files as tables: CSV, CSV.gz, Parquet, Feather and JSON arrays, with their columns named by role."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.data.reading.columns import PRICES, by_role, key, relevant
from cryptoml.data.reading.header import EXCHANGE_DUMP, find_header, need_width
from cryptoml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

NULLS = ("", "NULL", "null", "NaN", "nan", "NA", "N/A", "None", "none", "-")
_HEAD_BYTES = 1 << 16
# What a file is that begins like this, and what to do with it.
_OTHER_FILES = {
    b"PK": ("is a zip archive or a spreadsheet", "unpack it, or export it as CSV"),
    b"BZh": ("is compressed with bzip2", "unpack it"),
    b"\xfd7zXZ": ("is compressed with xz", "unpack it"),
    b"\x28\xb5\x2f\xfd": ("is compressed with zstd", "unpack it"),
    b"version https://git-lfs": ("is a pointer of Git LFS and not the file itself", "get the file with git lfs pull"),
    b"outs:": ("is a pointer of DVC and not the file itself", "cryptoml pull-data, then the name without .dvc"),
}


@dataclass(frozen=True)
class Table:
    """A file's rows with columns by role (see `columns.Roles`); all other columns are left out.

    lines: the file's line of each row, or that of row 0 where none is blank; None where lines mean nothing.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    lines: NDArray[np.int64] | int | None = None

    def where(self, row: int) -> str:
        """The row's place for people."""
        if self.lines is None:
            return f"row {row + 1}"
        return f"line {self.lines + row if isinstance(self.lines, int) else self.lines[row]}"


def read_table(path: Path, columns: Sequence[str] | Mapping[str, str] | None = None) -> Table:
    """Read a file by its first bytes and its ending; raises DataError in words.

    columns: the file's columns in order, or a mapping from our names to the file's.
    """
    data = _bytes(path)
    if data[:4] == b"PAR1" or data.startswith((b"FEA1", b"ARRO")):
        return _columnar(path, columns, parquet=data[:4] == b"PAR1")
    for start, (fact, hint) in _OTHER_FILES.items():
        if data.startswith(start):
            raise DataError(f"{path}: {fact}.", hint=hint)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = data.decode("utf-16", errors="replace").encode()
    if not data[:_HEAD_BYTES].strip() and not data.strip():
        raise DataError(f"{path}: is empty.", hint="get the file again")
    if path.name.lower().removesuffix(".gz").endswith(".json") or data[:64].lstrip().startswith((b"[[", b"[{")):
        return _json(path, data, columns)
    if b"\x00" in data[:4096]:
        raise DataError(f"{path}: is not a text file.", hint="give CSV, CSV.gz, Parquet, Feather or JSON")
    return _csv(path, data, columns)


def need_file(path: Path) -> None:
    """Raise DataError where there is no file: quick, before anything heavy is loaded to read it."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder.", hint="name a file of candles")
    if not path.exists() and not path.is_symlink():
        raise DataError(f"{path}: there is no such file.", hint="check the path, or get it with cryptoml pull-data")


def _bytes(path: Path) -> bytes:
    need_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}.", hint="check the path and its permissions"
        ) from error
    try:
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the compressed file is damaged or cut short.", hint="get the file again") from error


def _columnar(path: Path, columns: Sequence[str] | Mapping[str, str] | None, *, parquet: bool) -> Table:
    import pandas as pd
    import pyarrow as pa

    try:
        frame = pd.read_parquet(path) if parquet else pd.read_feather(path)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(
            f"{path}: is damaged: {str(error).splitlines()[0].rstrip('.')}.", hint="get the file again"
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):
        names = [name or ("timestamp" if frame.index.nlevels == 1 else None) for name in frame.index.names]
        frame = frame.reset_index(names=[str(name) for name in names])
    return _table(path, _renamed(path, frame, columns), columns, None)


def _json(path: Path, data: bytes, columns: Sequence[str] | Mapping[str, str] | None) -> Table:
    import pandas as pd

    wanted = "as freqtrade writes them: [[ms, open, high, low, close, volume], ...]"
    try:
        # As floats, since a whole number of JSON may be larger than any that pandas holds.
        rows = json.loads(data, parse_int=float)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not valid JSON: {error}.", hint="get the file again") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, (list, dict)) for row in rows):
        raise DataError(f"{path}: a JSON array of candles was expected.", hint=wanted)
    if all(isinstance(row, dict) for row in rows):
        return _table(path, pd.DataFrame(rows), columns, None)
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    width = max(widths)
    if len(widths) > 1 or not 5 <= width <= len(EXCHANGE_DUMP):
        raise DataError(f"{path}: the candles are not all of one length.", hint=wanted)
    frame = pd.DataFrame(rows, columns=list(EXCHANGE_DUMP[:width]))
    return _table(path, _renamed(path, frame, columns), columns, None)


def _renamed(path: Path, frame: pd.DataFrame, columns: Sequence[str] | Mapping[str, str] | None) -> pd.DataFrame:
    """With the names that a caller gave in order."""
    if not columns or isinstance(columns, Mapping):
        return frame
    need_width(path, columns, frame.shape[1])
    return frame.set_axis(list(columns), axis=1)


def _table(path: Path, frame: pd.DataFrame, columns: Any, lines: NDArray[np.int64] | int | None) -> Table:
    names = [str(name) for name in frame.columns]
    mapping = columns if isinstance(columns, Mapping) else None
    roles = by_role(str(path), frame.set_axis(names, axis=1), mapping, names)
    return Table(roles.frame, roles.notes, lines)


def _utf8(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1").encode()
    return data


def _csv(path: Path, data: bytes, columns: Sequence[str] | Mapping[str, str] | None) -> Table:
    data = _utf8(data).removeprefix(b"\xef\xbb\xbf")
    head = data[:_HEAD_BYTES].splitlines(keepends=True)
    lines = [line.decode("utf-8", errors="replace").strip() for line in head]
    skipped, names, delimiter = find_header(path, lines, columns)
    start = sum(map(len, head[:skipped]))
    body = memoryview(data)[start:]
    mapping = columns if isinstance(columns, Mapping) else None
    if not bytes(body[:_HEAD_BYTES]).strip():
        raise DataError(f"{path}: has a header and no rows.", hint="get the file again")
    rows = _parsed(path, body, skipped, names, delimiter, relevant(names, mapping))
    place: NDArray[np.int64] | int = skipped + 1
    if any(data.find(blank, start) >= 0 for blank in (b"\n\n", b"\n\r\n", b"\r\r")):
        place = _filled_lines(body, skipped)
    roles = by_role(str(path), rows.to_pandas(), mapping, names)
    return Table(roles.frame, roles.notes, place)


def _parsed(
    path: Path, body: memoryview, skipped: int, names: list[str], delimiter: str, wanted: list[str]
) -> pa.Table:
    """Numbers as numbers where the whole column allows it, everything else as it comes, or as text."""
    import pyarrow as pa
    from pyarrow import csv

    reading = csv.ReadOptions(column_names=names, block_size=1 << 24)
    parsing = csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=True)
    numbers = {name: pa.float64() for name in wanted if key(name) in (*PRICES, "volume")}
    texts = {name: pa.string() for name in wanted}
    attempts = [(numbers, "."), (texts | numbers, "."), (texts, ".")]
    if delimiter != ",":
        attempts.insert(2, (texts | numbers, ","))
    for types, point in attempts:
        converting = csv.ConvertOptions(
            column_types=types,
            include_columns=wanted,
            null_values=list(NULLS),
            strings_can_be_null=True,
            decimal_point=point,
        )
        try:
            return csv.read_csv(pa.BufferReader(body), reading, parsing, converting)
        except pa.ArrowInvalid as error:
            if "Expected" in str(error):
                raise _ragged(path, body, skipped, len(names), delimiter) from error
    raise DataError(f"{path}: is not a table of one kind of rows.", hint="get the file again")


def _ragged(path: Path, body: memoryview, skipped: int, width: int, delimiter: str) -> DataError:
    """The error that names the lines with too few or too many columns."""
    import csv

    lines = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", errors="replace")
    reader = csv.reader(lines, delimiter=delimiter)
    bad = [(skipped + reader.line_num, len(cells)) for cells in reader if cells and len(cells) != width]
    shown = "; ".join(f"line {line} has {cells}" for line, cells in bad[:5])
    return DataError(
        f"{path}: {width} columns are expected, {len(bad):,} x another number: {shown}.",
        hint="correct or remove these lines (a last line cut short: get the file again)",
    )


def _filled_lines(body: memoryview, skipped: int) -> NDArray[np.int64]:
    """The file's line of each row, where blank lines lie between them."""
    import numpy as np

    filled = [number for number, line in enumerate(bytes(body).splitlines(), skipped + 1) if line]
    return np.asarray(filled, dtype=np.int64)
