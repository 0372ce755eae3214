"""Parquet and Feather files as tables; the time may be the index."""

from __future__ import annotations

import io
from pathlib import Path

from cryptoml.data.reading.table import Columns, Table, renamed, to_table
from cryptoml.errors import DataError


def read_parquet(path: Path, data: bytes, columns: Columns) -> Table:
    """Read a Parquet file."""
    return _read(path, data, columns, parquet=True)


def read_feather(path: Path, data: bytes, columns: Columns) -> Table:
    """Read a Feather file, version 1 or 2."""
    return _read(path, data, columns, parquet=False)


def _read(path: Path, data: bytes, columns: Columns, *, parquet: bool) -> Table:
    import pandas as pd
    import pyarrow as pa

    try:
        frame = (pd.read_parquet if parquet else pd.read_feather)(io.BytesIO(data))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(
            f"{path}: is damaged: {str(error).splitlines()[0].rstrip('.')}.", hint="get the file again"
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):
        names = [name or ("timestamp" if frame.index.nlevels == 1 else None) for name in frame.index.names]
        frame = frame.reset_index(names=[str(name) for name in names])
    return to_table(path, renamed(path, frame, columns), columns)
