"""Dates written as text, read into UTC by their shape; what comes first, day, month or year, the file settles."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from cryptoml.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    Times = NDArray[np.int64]

NOT_A_TIME = -(2**63)
_WRITE = "write them as 2024-01-31 13:00, in UTC"
# Digits stand as 9 in a shape; letters (capitals) and signs stand for themselves.
_DATE = (
    r"(?P<year>9{4})(?P<s1>[-/.])(?P<month>9{1,2})(?P=s1)(?P<day>9{1,2})|(?P<packed_date>9{8})"
    r"|(?P<one>9{1,2})(?P<s2>[-/.])(?P<two>9{1,2})(?P=s2)(?P<last_year>9{4}|99)"
)
_CLOCK = (
    r"(?P<packed_clock>9{4}|9{6})|(?P<hour>9{1,2})(?::(?P<minute>99)(?::(?P<second>99)(?:\.(?P<part>9{1,9}))?)?)?"
    r"(?:[ -]?(?P<half>[AP])M)?"
)
_ZONE = r" ?(?:Z|UTC|GMT)| ?(?:UTC|GMT)?(?P<sign>[+-])(?P<off_hour>99):?(?P<off_minute>99)"
_SHAPE = re.compile(rf"(?:{_DATE})(?:(?:T|,? +)(?:{_CLOCK}))?(?:{_ZONE})?")
_ZONE_AT_END = re.compile(r"(?:Z|UTC|GMT|[+-]99:?99)$")
_EPOCH = re.compile(r"9{9,19}(\.9+)?")
_MONTHS = re.compile(r"JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC")
_CAPITALS = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = bytes.maketrans(b"012345678", b"999999999")
_SECOND = 10**9
_ORDERS = ("day first", "month first", "year first")


def read_dates(
    source: str,
    text: pd.Series[str],
    where: Callable[[int], str],
    *,
    epochs: Callable[[pd.Series[str]], Times],
    near: Times | None = None,
) -> tuple[Times, NDArray[np.bool_]]:
    """Nanoseconds since 1970 (NOT_A_TIME where the text is empty), and which dates have neither zone nor offset.

    A date with an offset comes in UTC, one without as if it were UTC. near: times known from another column,
    however rough; they tell day from month. Raises DataError where a date cannot be read, or can be read in two ways.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    given = pa.array(text.fillna("").to_numpy(dtype=object), type=pa.string())
    plain = _translated(pc.utf8_trim_whitespace(given), _CAPITALS)
    coded = _translated(plain, _DIGITS).dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    readings = {order: np.full(len(text), NOT_A_TIME, dtype=np.int64) for order in _ORDERS}
    open_order = np.zeros(len(text), dtype=bool)
    naive = np.zeros(len(text), dtype=bool)
    for code, shape in enumerate(coded.dictionary.to_pylist()):
        rows = np.flatnonzero(codes == code)
        part = plain if len(rows) == len(plain) else plain.take(pa.array(rows))
        form = _SHAPE.fullmatch(shape)
        if _EPOCH.fullmatch(shape):
            found = dict.fromkeys(_ORDERS, epochs(part.to_pandas()))
        elif form is not None:
            found = _fixed_width(part, form)
            open_order[rows] = form["last_year"] is not None
        elif _MONTHS.search(shape):
            try:
                with warnings.catch_warnings():
                    # A time zone that is not known would be left out, and the time taken for UTC.
                    warnings.simplefilter("error", FutureWarning)
                    parsed = pd.to_datetime(part.to_pandas(), format="mixed", utc=True, errors="coerce")
            except FutureWarning:
                continue
            found = dict.fromkeys(_ORDERS, parsed.to_numpy(dtype="datetime64[ns]").astype(np.int64))
        else:
            continue
        naive[rows] = not (_EPOCH.fullmatch(shape) or _ZONE_AT_END.search(shape))
        for order, times in found.items():
            readings[order][rows] = times
    filled = pc.not_equal(plain, "").to_numpy(zero_copy_only=False)
    unread = filled & np.logical_and.reduce([times == NOT_A_TIME for times in readings.values()])
    if unread.any():
        bad = np.flatnonzero(unread)
        shown = ", ".join(f"{where(int(row))}: {str(text.iloc[int(row)]).strip()[:40]!r}" for row in bad[:5])
        raise DataError(f"{source}: {len(bad):,} x not a time: {shown}.", hint=_WRITE)
    if not open_order.any():
        return readings[_ORDERS[0]], naive & filled
    whole = {order: times for order, times in readings.items() if (times[filled] != NOT_A_TIME).all()}
    return _settle(source, whole, str(text[open_order].iloc[0]), filled, near), naive & filled


def _translated(text: pa.Array, table: bytes) -> pa.Array:
    """Every text with its ASCII characters exchanged, all in one go."""
    import pyarrow as pa

    _, places, characters = text.buffers()
    if characters is None:
        return text
    changed = pa.py_buffer(characters.to_pybytes().translate(table))
    return pa.StringArray.from_buffers(len(text), places, changed, offset=text.offset)


def _fixed_width(text: pa.Array, form: re.Match[str]) -> dict[str, Times]:
    """Dates of one shape, read by their places, in each order that the shape allows.

    They differ where the year comes last, or where all three have two digits; such a year is of this century.
    """
    import numpy as np

    chars = np.frombuffer(text.buffers()[2], dtype=np.uint8)[: len(text) * form.end()].reshape(len(text), -1)

    def number(name: str, start: int = 0, stop: int | None = None) -> Times:
        first, last = form.span(name)
        value = np.zeros(len(text), dtype=np.int64)
        for column in range(first + start, last if stop is None else first + stop):
            value = value * 10 + (chars[:, column] - 48)
        return value

    given = {name for name, found in form.groupdict().items() if found}
    zero = np.zeros(len(text), dtype=np.int64)
    hour, minute, second = (number(name) if name in given else zero for name in ("hour", "minute", "second"))
    if "packed_clock" in given:
        hour, minute = number("packed_clock", 0, 2), number("packed_clock", 2, 4)
        second = number("packed_clock", 4) if len(form["packed_clock"]) == 6 else zero
    sound = (hour < 24) & (minute < 60) & (second < 60)
    if "half" in given:
        sound &= (hour >= 1) & (hour <= 12)
        hour = hour % 12 + 12 * (chars[:, form.start("half")] == ord("P"))
    clock = ((hour * 60 + minute) * 60 + second) * _SECOND
    if "part" in given:
        clock = clock + number("part") * 10 ** (9 - len(form["part"]))
    if "sign" in given:
        ahead = np.where(chars[:, form.start("sign")] == ord("+"), 60, -60)
        clock = clock - (number("off_hour") * 60 + number("off_minute")) * ahead * _SECOND
    if "last_year" in given:
        one, two, year = number("one"), number("two"), number("last_year")
        short = len(form["last_year"]) == 2
        orders = {"day first": (year + 2000 * short, two, one), "month first": (year + 2000 * short, one, two)}
        if short:
            orders["year first"] = (one + 2000, two, year)
        return {order: _assembled(*numbers, clock, sound) for order, numbers in orders.items()}
    if "packed_date" in given:
        year, month, day = number("packed_date", 0, 4), number("packed_date", 4, 6), number("packed_date", 6)
    else:
        year, month, day = number("year"), number("month"), number("day")
    return dict.fromkeys(_ORDERS, _assembled(year, month, day, clock, sound))


def _assembled(year: Times, month: Times, day: Times, clock: Times, sound: NDArray[np.bool_]) -> Times:
    """Nanoseconds since 1970; NOT_A_TIME where there is no such day."""
    import numpy as np

    months = (year - 1970) * 12 + month - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - first
    sound = sound & (month >= 1) & (month <= 12) & (day >= 1) & (day <= length) & (year >= 1900) & (year <= 2200)
    times: Times = np.where(sound, (np.where(sound, first, 0) + day - 1) * 86_400 * _SECOND + clock, NOT_A_TIME)
    return times


def _settle(source: str, whole: dict[str, Times], example: str, filled: NDArray[np.bool_], near: Times | None) -> Times:
    """The only order that reads every date; of several the one closest to `near`, then the most regular one."""
    import numpy as np

    if not whole:
        raise DataError(f"{source}: some dates have the day first and others the month.", hint=_WRITE)
    if near is not None and (known := filled & (near != NOT_A_TIME)).any():
        whole = _best(whole, lambda times: (-float(np.median(np.abs(times[known] - near[known]))), 0))
    whole = _best(whole, lambda times: _regularity(times[filled]))
    order, *others = whole
    if all(np.array_equal(whole[order], whole[other]) for other in others):
        return whole[order]
    raise DataError(
        f"{source}: the dates can be read {' and '.join(whole)} ({example}); the file does not settle it.",
        hint="write them as 2024-01-31",
    )


def _best(whole: dict[str, Times], score: Callable[[Times], tuple[float, int]]) -> dict[str, Times]:
    """The readings that share the highest score."""
    scores = {order: score(times) for order, times in whole.items()}
    return {order: whole[order] for order in whole if scores[order] == max(scores.values())}


def _regularity(times: Times) -> tuple[float, int]:
    """The share of steps, in order of time, that equal the most common one; then how short the whole span is."""
    import numpy as np

    steps = np.diff(np.unique(times))
    if len(steps) == 0:
        return 0.0, 0
    _, counts = np.unique(steps, return_counts=True)
    return float(counts.max() / len(steps)), -int(steps.sum())
