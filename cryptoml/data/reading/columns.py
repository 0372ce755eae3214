"""Assigns roles to the columns of a file by the names that sources use, checked against the values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cryptoml.data.reading.column_names import NAMES, PRICES, TIME_ROLES, aliases, name_key
from cryptoml.data.reading.layouts import columns_hint
from cryptoml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

ROLES = (*TIME_ROLES, *PRICES, "volume", "symbol")
COLUMNS_HINT = columns_hint(6)
_CLOCKS = ("time", "clock", "hour", "timeutc", "uhrzeit")
_UNNAMED = ("", "unnamed0", "index", "level0")
_VOLUME = re.compile(r"v|vol|volume\w*|vol(ccy|ume)?quote|\w*volume|amount|turnover|quotevol")
_NOT_VOLUME = re.compile(r"taker|buy|sell|change|average|avg|mean|tick|count")
# The number of price changes, in place of a volume column that is empty.
_TICK_VOLUMES = ("tickvol", "tickvolume")
# With a smaller share of values that contain a digit, a column of texts has no dates.
_MIN_DATES = 0.9
# A name with more values than this share of the rows is no symbol.
_MAX_SYMBOL_SHARE = 0.2
_QUOTES = ("usdt", "usdc", "busd", "usd", "eur", "gbp", "jpy", "quote", "currency", "to", "turnover")
# Base volume times the price is the quote volume, up to this tolerance, because the price varies within a candle.
_SAME_VOLUME_LOG = 0.1


@dataclass(frozen=True)
class Roles:
    """A file's columns by role. frame: epoch and date and clock (at least one of the first two), open, high, low,
    close, and volume and symbol where the file has them. notes: decisions that the user should know.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]
    names: Mapping[str, str]
    is_close_time: bool = False


def relevant_columns(names: Sequence[str], columns: Mapping[str, str] | None) -> list[str]:
    """Select the columns that may have a role."""
    known = {alias for role in NAMES for alias in aliases(role)} | {*_UNNAMED, *_TICK_VOLUMES}
    chosen = set(columns.values()) if columns else set()
    return [name for name in names if name in chosen or name_key(name) in known or _is_volume(name_key(name))]


def assign_roles(
    source: str, frame: pd.DataFrame, columns: Mapping[str, str] | None, everything: Sequence[str]
) -> Roles:
    """Assign the roles; raises DataError that names the missing roles and the existing columns.

    columns: from our names (timestamp, date, time, open ... volume, symbol) to the file's. everything: the names
    of all columns the file has.
    """
    import pandas as pd

    chosen = _chosen(source, columns or {}, everything)
    named = _by_key(source, frame, chosen)
    found: dict[str, Any] = {}
    names: dict[str, str] = {}
    for role in (*PRICES, "symbol"):
        fitting = [named[alias] for alias in aliases(role) if alias in named]
        if role == "symbol":
            fitting = [name for name in fitting if _is_symbol(frame[name])]
        if role in chosen or fitting:
            names[role] = chosen.get(role) or fitting[0]
            found[role] = frame[names[role]]
    given = [chosen[role] for role in TIME_ROLES if role in chosen]
    candidates = given or [named[alias] for alias in aliases("time") if alias in named]
    is_close_time = False
    if not candidates:
        candidates = [named[alias] for alias in aliases("close_time") if alias in named]
        is_close_time = bool(candidates)
    if not candidates:
        candidates = [named[alias] for alias in _UNNAMED if alias in named]
    for name in candidates:
        kind = _time_kind(frame[name], clock=name_key(name) in _CLOCKS or name == chosen.get("time"))
        if kind is None:
            continue
        # Of two date columns, the one with a time of day has more distinct values.
        if kind not in found or (kind == "date" and _distinct(frame[name]) > _distinct(found[kind])):
            found[kind] = frame[name]
            names[kind] = name
    missing = [role for role in PRICES if role not in found]
    if "epoch" not in found and "date" not in found:
        if candidates and not missing:
            first = frame[candidates[0]].dropna().head(1).astype(str).tolist()
            raise DataError(
                f"{source}, column {candidates[0]}: contains no valid times (the first value is "
                f"{first[0] if first else 'empty'}).",
                hint=COLUMNS_HINT,
            )
        missing.append("timestamp")
    if missing:
        raise DataError(
            f"{source}: not candles: no column for {', '.join(missing)}; "
            f"it has {', '.join(map(str, everything[:12]))}.",
            hint=COLUMNS_HINT,
        )
    notes: list[str] = []
    volume = chosen.get("volume") or _volume(frame, found["close"], notes)
    if volume is not None:
        names["volume"], found["volume"] = volume, frame[volume]
    return Roles(pd.DataFrame(found, copy=False), tuple(notes), names, is_close_time)


def _volume(frame: pd.DataFrame, close: pd.Series[Any], notes: list[str]) -> str | None:
    """Return the column of the volume in base currency; instead of columns without any trade, one that has some."""
    found = [name for name in frame.columns if _is_volume(name_key(name)) and frame[name].notna().any()]
    filled = [name for name in found if _is_filled(frame[name])]
    if not filled:
        ticks = [name for name in frame.columns if name_key(name) in _TICK_VOLUMES and _is_filled(frame[name])]
        if not ticks:
            return found[0] if found else None
        filled = ticks[:1]
    empty = [name for name in found if name not in filled]
    base = _base_volume({name: frame[name] for name in filled}, close, notes)
    if empty and base is not None:
        notes.append(f"volume read from column {base}, as {' and '.join(map(str, empty))} has only zeros")
    return base


def _is_filled(column: pd.Series[Any]) -> bool:
    """Return whether a column has a value other than zero."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    return bool(((numbers != 0) & column.notna()).any())


def _is_symbol(column: pd.Series[Any]) -> bool:
    """Return whether a column can name markets: few values; a single number is the source's own number of a coin."""
    values = column.dropna().unique()
    if len(values) == 1:
        return not str(values[0]).strip().replace(".", "").isdigit()
    return 0 < len(values) <= max(1, _MAX_SYMBOL_SHARE * len(column))


def _by_key(source: str, frame: pd.DataFrame, chosen: Mapping[str, str]) -> dict[str, str]:
    """Map name keys to columns; raises DataError if two columns with the same key differ and none is chosen."""
    named: dict[str, str] = {}
    # For single letters the case matters: exchanges use t for the open time and T for the close time.
    wanted = {alias for role in (*PRICES, "time") for alias in aliases(role) if len(alias) > 1}
    for name in frame.columns:
        first = named.setdefault(name_key(name), name)
        if first == name or name_key(name) not in wanted or {first, name} & set(chosen.values()):
            continue
        if not frame[first].equals(frame[name]):
            raise DataError(
                f"{source}: the columns {first} and {name} have the same name but different values.", hint=COLUMNS_HINT
            )
    return named


def _chosen(source: str, columns: Mapping[str, str], everything: Sequence[str]) -> dict[str, str]:
    """Validate the mapping given by the caller."""
    unknown = [role for role in columns if role not in ROLES]
    if unknown:
        raise DataError(f"{source}: {', '.join(unknown)} is not a column role.", hint=f"map {', '.join(ROLES)}")
    absent = [name for name in columns.values() if name not in everything]
    if absent:
        raise DataError(
            f"{source}: has no column {', '.join(map(repr, absent))}.",
            hint=f"it has {', '.join(map(str, everything[:12]))}",
        )
    return dict(columns)


def _is_volume(name: str) -> bool:
    return name in aliases("volume") or (bool(_VOLUME.fullmatch(name)) and not _NOT_VOLUME.search(name))


def _time_kind(column: pd.Series[Any], *, clock: bool) -> Literal["epoch", "date", "clock"] | None:
    """Classify a column: epochs, dates (with or without a time of day), times of day, or None."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        return "date"
    values = column.dropna()
    if not pd.api.types.is_numeric_dtype(column):
        text = values.head(2000).astype(str).str.strip()
        if not text.str.fullmatch(r"\d+(\.\d+)?([eE]\+?\d+)?").all():
            if text.str.contains(r"\d").mean() < _MIN_DATES:
                return None
            if text.str.fullmatch(r"\d{1,2}((:\d{2}){1,2}(\.\d+)?([ -]?[AaPp][Mm])?|[ -]?[AaPp][Mm])").all():
                return "clock" if clock else None
            return "date"
        values = pd.to_numeric(text, errors="coerce").dropna()
    if values.empty:
        return None
    median = float(values.median())
    if median >= 1e8:
        return "epoch"
    if 19_000_101 <= median <= 21_001_231:
        return "date"
    return "clock" if clock and float(values.min()) >= 0 and float(values.max()) < 240_000 else None


def _distinct(column: pd.Series[Any]) -> int:
    return int(column.head(2000).nunique())


def _base_volume(volumes: Mapping[str, pd.Series[Any]], close: pd.Series[Any], notes: list[str]) -> str | None:
    """Find the column with the volume in base currency: multiplied by the price it equals the quote volume.

    If no pair satisfies this, or both orders do, the names decide: "volume" first, then names without a quote currency.
    """
    import numpy as np
    import pandas as pd

    if not volumes:
        return None
    names = sorted(volumes, key=lambda name: (_is_quote(name), name_key(name) not in ("volume", "v", "vol")))
    if len(names) == 1:
        return names[0]
    price = pd.to_numeric(close, errors="coerce").to_numpy(dtype=np.float64)
    values = {name: pd.to_numeric(volumes[name], errors="coerce").to_numpy(dtype=np.float64) for name in names}
    fits = {
        (base, quote): _misfit(values[base], values[quote], price) for base in names for quote in names if base != quote
    }
    pair = min(fits, key=lambda one: fits[one])
    if fits[pair] > _SAME_VOLUME_LOG or fits[pair[::-1]] <= _SAME_VOLUME_LOG:
        return names[0]
    if _is_quote(pair[0]) or (name_key(pair[0]) != "volume" and name_key(pair[1]) == "volume"):
        notes.append(f"base volume read from column {pair[0]}: multiplied by the price it equals {pair[1]}")
    return pair[0]


def _is_quote(name: str) -> bool:
    plain = name_key(name)
    return plain.startswith("quote") or plain.removeprefix("volume").removeprefix("vol").startswith(_QUOTES)


def _misfit(base: NDArray[np.float64], quote: NDArray[np.float64], price: NDArray[np.float64]) -> float:
    """Return the median absolute log difference between `quote` and `base` times the price."""
    import numpy as np

    traded = (base > 0) & (quote > 0) & (price > 0)
    if not traded.any():
        return float("inf")
    return float(np.median(np.abs(np.log(quote[traded]) - np.log(base[traded]) - np.log(price[traded]))))
