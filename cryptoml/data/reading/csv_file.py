"""Delimited text as tables: with or without a header, any usual delimiter, decimal points or commas."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.data.reading.column_names import PRICES, name_key
from cryptoml.data.reading.columns import assign_roles, relevant_columns
from cryptoml.data.reading.header import find_header
from cryptoml.data.reading.numbers import FAR
from cryptoml.data.reading.table import NULLS, Columns, Table
from cryptoml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

HEAD_BYTES = 1 << 16


def _utf8(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1").encode()
    return data


def read_csv(path: Path, data: bytes, columns: Columns) -> Table:
    """Read delimited text; raises DataError with the lines that do not fit."""
    import numpy as np

    data = _utf8(data).removeprefix(b"\xef\xbb\xbf")
    head = data[:HEAD_BYTES].splitlines(keepends=True)
    lines = [line.decode("utf-8", errors="replace").strip() for line in head]
    header = find_header(path, lines, columns)
    skipped, names, delimiter = header.skipped, header.names, header.delimiter
    start = sum(map(len, head[:skipped]))
    body = memoryview(data)[start:]
    mapping = columns if isinstance(columns, Mapping) else None
    if not bytes(body[:HEAD_BYTES]).strip():
        raise DataError(f"{path}: has a header but no rows.", hint="get the file again")
    rows = _parsed(path, body, skipped, names, delimiter, relevant_columns(names, mapping))
    lines_of_rows: NDArray[np.int64] | int = skipped + 1
    if any(data.find(blank, start) >= 0 for blank in (b"\n\n", b"\n\r\n", b"\r\r")):
        lines_of_rows = _filled_lines(body, skipped)
    frame = rows.to_pandas()
    notes = [header.note] if header.note else []
    repeated = _repeated_headers(frame)
    if repeated.any():
        notes.append(f"{repeated.sum()} x repeated header line, dropped")
        if isinstance(lines_of_rows, int):
            lines_of_rows = lines_of_rows + np.arange(len(frame))
        frame, lines_of_rows = frame[~repeated].reset_index(drop=True), lines_of_rows[~repeated]
    roles = assign_roles(str(path), frame, mapping, names)
    notes += roles.notes
    return Table(roles.frame, tuple(notes), lines_of_rows, roles.names, roles.is_close_time)


def _repeated_headers(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return a mask of the rows that repeat the names, as in files that were joined."""
    import numpy as np

    texts = [name for name in frame.columns if frame[name].dtype == object]
    mask = np.full(len(frame), bool(texts))
    for name in texts:
        mask &= (frame[name] == name).to_numpy(dtype=bool)
    return mask


def _parsed(
    path: Path, body: memoryview, skipped: int, names: list[str], delimiter: str, wanted: list[str]
) -> pa.Table:
    """Parse columns as numbers if all values allow it, otherwise as inferred types or as text."""
    import pyarrow as pa
    from pyarrow import csv

    reading = csv.ReadOptions(column_names=names, block_size=1 << 24)
    parsing = csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=True)
    numbers = {name: pa.float64() for name in wanted if name_key(name) in (*PRICES, "volume")}
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
            table = csv.read_csv(pa.BufferReader(body), reading, parsing, converting)
            if types is not texts and _may_have_thousands(table, [name for name in numbers if name in wanted]):
                continue
            return table
        except pa.ArrowInvalid as error:
            if "Expected" in str(error):
                raise _ragged(path, body, skipped, len(names), delimiter) from error
    raise DataError(f"{path}: cannot be parsed as a table.", hint="get the file again")


def _may_have_thousands(table: pa.Table, names: list[str]) -> bool:
    """Return whether the points in a column may separate thousands: 998 beside 1.002, all with three digits.

    The texts decide, see `numbers.to_numbers`.
    """
    import numpy as np

    for name in names:
        values = table.column(name).to_numpy()
        values = values[np.isfinite(values)]
        if not len(values) or values.max() >= 1000:
            continue
        whole = values == np.floor(values)
        large = values[whole & (values >= 100)]
        if not len(large) or whole.all() or large.min() < FAR * values[~whole].min():
            continue
        if np.allclose(values * 1000, np.round(values * 1000), rtol=0, atol=1e-7):
            return True
    return False


def _ragged(path: Path, body: memoryview, skipped: int, width: int, delimiter: str) -> DataError:
    """Build the error that names the lines with too few or too many columns."""
    import csv

    lines = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", errors="replace")
    reader = csv.reader(lines, delimiter=delimiter)
    bad = [(skipped + reader.line_num, len(cells)) for cells in reader if cells and len(cells) != width]
    shown = "; ".join(f"line {line} has {cells}" for line, cells in bad[:5])
    return DataError(
        f"{path}: expected {width} columns, {len(bad):,} x another number: {shown}.",
        hint="correct or remove these lines; if the last line is truncated, get the file again",
    )


def _filled_lines(body: memoryview, skipped: int) -> NDArray[np.int64]:
    """Return the line number of each row; for files with blank lines."""
    import numpy as np

    filled = [number for number, line in enumerate(bytes(body).splitlines(), skipped + 1) if line]
    return np.asarray(filled, dtype=np.int64)
