"""JSON as tables: arrays of candles anywhere in a document, columns of values, and one object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.data.reading.column_names import is_header, name_key
from cryptoml.data.reading.layouts import columns_hint, guess_names
from cryptoml.data.reading.table import Columns, Table, renamed, to_table
from cryptoml.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_MAX_DEPTH = 8
_ROWS_CHECKED = 50
_HINT = "as exchanges write them: [[time, open, high, low, close, volume], ...]"


def read_json(path: Path, data: bytes, columns: Columns) -> Table:
    """Read the candles of a JSON document, or of JSON Lines."""
    document = _document(path, data)
    lists = list(_candle_lists(document))
    if len(lists) > 1:
        names = ", ".join(name or "the document" for name, _ in lists[:5])
        raise DataError(f"{path}: contains {len(lists)} lists of candles: {names}.", hint="write each to its own file")
    if not lists:
        fact = (
            "contains prices, but no open, high, low and close" if b"price" in data[:10_000] else "contains no candles"
        )
        raise DataError(f"{path}: {fact}.", hint=_HINT)
    frame, note = _frame(path, lists[0][1], columns)
    table = to_table(path, frame, columns)
    notes = (*([note] if note else []), *table.notes)
    return Table(table.frame, notes, table.lines, table.names, table.is_close_time)


def _document(path: Path, data: bytes) -> Any:
    try:
        # As floats, because JSON integers may exceed the range of pandas' integers.
        return json.loads(data, parse_int=float)
    except (ValueError, RecursionError) as error:
        rows = [line for line in data.splitlines() if line.strip()]
        try:
            if len(rows) > 1:
                return [json.loads(row, parse_int=float) for row in rows]
        except (ValueError, RecursionError):
            pass
        raise DataError(f"{path}: is not valid JSON: {error}.", hint="get the file again") from error


def _candle_lists(node: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a document that are candles: lists of rows or objects, or columns of equal length."""
    if isinstance(node, list):
        rows = [row for row in node if isinstance(row, list | dict)]
        if rows and len(rows) == len(node):
            if all(isinstance(row, dict) for row in rows) and all(map(is_header, rows[:_ROWS_CHECKED])):
                yield name, node
                return
            if all(isinstance(row, list) and len(row) >= 5 for row in rows):
                yield name, node
                return
        children: Any = [(name, child) for child in node[:10]]
    elif isinstance(node, Mapping):
        columns = _columns(node)
        if columns is not None:
            yield name, columns
            return
        children = [(str(key), child) for key, child in node.items()]
    else:
        return
    if depth < _MAX_DEPTH:
        for key, child in children:
            yield from _candle_lists(child, key, depth + 1)


def _columns(node: Mapping[str, Any]) -> Any:
    """Return the columns of an object that has them: as pandas writes frames, or lists of equal length."""
    if set(node) >= {"columns", "data"} and isinstance(node["data"], list):
        index = node.get("index")
        rows = [dict(zip(node["columns"], row, strict=False)) for row in node["data"] if isinstance(row, list)]
        if isinstance(index, list) and len(index) == len(rows):
            rows = [{"timestamp": at, **row} for at, row in zip(index, rows, strict=True)]
        return rows if rows and is_header(rows[0]) else None
    if is_header(node):
        values = list(node.values())
        if all(isinstance(value, Mapping) for value in values):
            return {name: {"timestamp": list(value), name: list(value.values())} for name, value in node.items()}
        lengths = {len(value) for value in values if isinstance(value, list)}
        return {name: value for name, value in node.items() if isinstance(value, list)} if len(lengths) == 1 else None
    rows = list(node.values())
    if len(rows) > 1 and all(isinstance(row, Mapping) for row in rows) and all(map(is_header, rows[:_ROWS_CHECKED])):
        return [{"timestamp": at, **row} for at, row in node.items()]
    return _yahoo(node)


def _yahoo(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the columns of Yahoo's chart: the times beside the lists of prices."""
    times, quotes = node.get("timestamp"), node.get("indicators")
    if not isinstance(times, list) or not isinstance(quotes, Mapping) or not isinstance(quotes.get("quote"), list):
        return None
    quote = quotes["quote"][0] if quotes["quote"] else None
    if not isinstance(quote, Mapping) or not is_header(quote):
        return None
    return {"timestamp": times, **{name: value for name, value in quote.items() if isinstance(value, list)}}


def _frame(path: Path, found: Any, columns: Columns) -> tuple[pd.DataFrame, str]:
    """Return the candles with the names of their columns, and a note if these were derived from the values."""
    import pandas as pd

    if isinstance(found, Mapping):
        if all(isinstance(value, Mapping) for value in found.values()):
            first = next(iter(found.values()))
            return pd.DataFrame({"timestamp": first["timestamp"], **{n: v[n] for n, v in found.items()}}), ""
        if len({len(value) for value in found.values()}) > 1:
            raise DataError(f"{path}: the columns have different lengths.", hint="get the file again")
        return pd.DataFrame(dict(found)), ""
    if isinstance(found[0], Mapping):
        return pd.DataFrame(found), ""
    widths = {len(row) for row in found}
    if len(widths) > 1:
        raise DataError(f"{path}: the candles have different numbers of values.", hint=_HINT)
    frame = pd.DataFrame(found)
    if columns:
        return renamed(path, frame, columns), ""
    names = guess_names([[_text(value) for value in row] for row in found[:500]])
    if names is None:
        raise DataError(f"{path}: the order of the {max(widths)} values of a candle is not clear.",
                        hint=columns_hint(max(widths)))  # fmt: skip
    is_usual = [name_key(name) for name in names[1:5]] == ["open", "high", "low", "close"]
    return frame.set_axis(names, axis=1), "" if is_usual else f"the values are read as {', '.join(names)}"


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)
