"""JSON arrays of candles as tables: of lists, or of objects."""

from __future__ import annotations

import json
from pathlib import Path

from cryptoml.data.reading.header import EXCHANGE_DUMP
from cryptoml.data.reading.table import Columns, Table, renamed, to_table
from cryptoml.errors import DataError


def read_json(path: Path, data: bytes, columns: Columns) -> Table:
    """Read a JSON array of candles."""
    import pandas as pd

    hint = "as freqtrade writes them: [[ms, open, high, low, close, volume], ...]"
    try:
        # As floats, because JSON integers may exceed the range of pandas' integers.
        rows = json.loads(data, parse_int=float)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not valid JSON: {error}.", hint="get the file again") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, (list, dict)) for row in rows):
        raise DataError(f"{path}: expected a JSON array of candles.", hint=hint)
    if all(isinstance(row, dict) for row in rows):
        return to_table(path, pd.DataFrame(rows), columns)
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    width = max(widths)
    if len(widths) > 1 or not 5 <= width <= len(EXCHANGE_DUMP):
        raise DataError(f"{path}: the candles have different numbers of values.", hint=hint)
    frame = pd.DataFrame(rows, columns=list(EXCHANGE_DUMP[:width]))
    return to_table(path, renamed(path, frame, columns), columns)
