"""Parses dates in text to UTC by their format; the order of day, month and year is derived from the file."""

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
_FORMAT_HINT = "write them as 2024-01-31 13:00, in UTC"
# In a shape, 9 stands for any digit; upper-case letters and other characters stand for themselves.
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
_EASTERN = "年|-\\s+\\d"
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
    """Return nanoseconds since 1970 (NOT_A_TIME for empty text), and a mask of dates without a zone or offset.

    Dates without an offset are read as UTC. near: approximate times from another column, used to distinguish day and
    month. Raises DataError for invalid and for ambiguous dates.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    given = pa.array(text.fillna("").to_numpy(dtype=object), type=pa.string())
    if pc.any(pc.match_substring_regex(given, _EASTERN)).as_py():
        # 2024年3月1日, and the spaces in 2024- 03- 01.
        given = pc.replace_substring_regex(given, "年|月|-\\s+", "-")
        given = pc.replace_substring_regex(given, "日", "")
    plain = _translate(pc.utf8_trim_whitespace(given), _CAPITALS)
    coded = _translate(plain, _DIGITS).dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    readings = {order: np.full(len(text), NOT_A_TIME, dtype=np.int64) for order in _ORDERS}
    ambiguous = np.zeros(len(text), dtype=bool)
    naive = np.zeros(len(text), dtype=bool)
    for code, shape in enumerate(coded.dictionary.to_pylist()):
        rows = np.flatnonzero(codes == code)
        part = plain if len(rows) == len(plain) else plain.take(pa.array(rows))
        form = _SHAPE.fullmatch(shape)
        if _EPOCH.fullmatch(shape):
            by_order = dict.fromkeys(_ORDERS, epochs(part.to_pandas()))
        elif form is not None:
            by_order = _fixed_width(part, form)
            ambiguous[rows] = form["last_year"] is not None
        elif _MONTHS.search(shape):
            try:
                with warnings.catch_warnings():
                    # pandas warns about an unknown time zone, ignores it and reads the time as UTC: raise instead.
                    warnings.simplefilter("error", FutureWarning)
                    parsed = pd.to_datetime(part.to_pandas(), format="mixed", utc=True, errors="coerce")
            except FutureWarning:
                continue
            by_order = dict.fromkeys(_ORDERS, parsed.to_numpy(dtype="datetime64[ns]").astype(np.int64))
        else:
            continue
        naive[rows] = not (_EPOCH.fullmatch(shape) or _ZONE_AT_END.search(shape))
        for order, times in by_order.items():
            readings[order][rows] = times
    filled = pc.not_equal(plain, "").to_numpy(zero_copy_only=False)
    unread = filled & np.logical_and.reduce([times == NOT_A_TIME for times in readings.values()])
    if unread.any():
        bad = np.flatnonzero(unread)
        examples = ", ".join(f"{where(int(row))}: {str(text.iloc[int(row)]).strip()[:40]!r}" for row in bad[:5])
        raise DataError(f"{source}: {len(bad):,} x not a time: {examples}.", hint=_FORMAT_HINT)
    if not ambiguous.any():
        return readings[_ORDERS[0]], naive & filled
    complete = {order: times for order, times in readings.items() if (times[filled] != NOT_A_TIME).all()}
    return _choose_order(source, complete, str(text[ambiguous].iloc[0]), filled, near), naive & filled


def _translate(text: pa.Array, table: bytes) -> pa.Array:
    """Translate the ASCII characters of all strings in one operation."""
    import pyarrow as pa

    _, offsets, characters = text.buffers()
    if characters is None:
        return text
    translated = pa.py_buffer(characters.to_pybytes().translate(table))
    return pa.StringArray.from_buffers(len(text), offsets, translated, offset=text.offset)


def _fixed_width(text: pa.Array, form: re.Match[str]) -> dict[str, Times]:
    """Parse dates of one shape by character position, in every order that the shape allows.

    There are several orders if the year is last, or if all three numbers have two digits; such a year is 20xx.
    """
    import numpy as np

    chars = np.frombuffer(text.buffers()[2], dtype=np.uint8)[: len(text) * form.end()].reshape(len(text), -1)

    def number(name: str, start: int = 0, stop: int | None = None) -> Times:
        first, last = form.span(name)
        value = np.zeros(len(text), dtype=np.int64)
        for column in range(first + start, last if stop is None else first + stop):
            value = value * 10 + (chars[:, column] - 48)
        return value

    groups = {name for name, span in form.groupdict().items() if span}
    zero = np.zeros(len(text), dtype=np.int64)
    hour, minute, second = (number(name) if name in groups else zero for name in ("hour", "minute", "second"))
    if "packed_clock" in groups:
        hour, minute = number("packed_clock", 0, 2), number("packed_clock", 2, 4)
        second = number("packed_clock", 4) if len(form["packed_clock"]) == 6 else zero
    valid = (hour < 24) & (minute < 60) & (second < 60)
    if "half" in groups:
        valid &= (hour >= 1) & (hour <= 12)
        hour = hour % 12 + 12 * (chars[:, form.start("half")] == ord("P"))
    clock = ((hour * 60 + minute) * 60 + second) * _SECOND
    if "part" in groups:
        clock = clock + number("part") * 10 ** (9 - len(form["part"]))
    if "sign" in groups:
        ahead = np.where(chars[:, form.start("sign")] == ord("+"), 60, -60)
        clock = clock - (number("off_hour") * 60 + number("off_minute")) * ahead * _SECOND
    if "last_year" in groups:
        first_number, second_number, year = number("one"), number("two"), number("last_year")
        short = len(form["last_year"]) == 2
        orders = {
            "day first": (year + 2000 * short, second_number, first_number),
            "month first": (year + 2000 * short, first_number, second_number),
        }
        if short:
            orders["year first"] = (first_number + 2000, second_number, year)
        return {order: _to_nanoseconds(*numbers, clock, valid) for order, numbers in orders.items()}
    if "packed_date" in groups:
        year, month, day = number("packed_date", 0, 4), number("packed_date", 4, 6), number("packed_date", 6)
    else:
        year, month, day = number("year"), number("month"), number("day")
    return dict.fromkeys(_ORDERS, _to_nanoseconds(year, month, day, clock, valid))


def _to_nanoseconds(year: Times, month: Times, day: Times, clock: Times, valid: NDArray[np.bool_]) -> Times:
    """Return nanoseconds since 1970; NOT_A_TIME for invalid dates."""
    import numpy as np

    months = (year - 1970) * 12 + month - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - first
    valid = valid & (month >= 1) & (month <= 12) & (day >= 1) & (day <= length) & (year >= 1900) & (year <= 2200)
    times: Times = np.where(valid, (np.where(valid, first, 0) + day - 1) * 86_400 * _SECOND + clock, NOT_A_TIME)
    return times


def _choose_order(
    source: str, readings: dict[str, Times], example: str, filled: NDArray[np.bool_], near: Times | None
) -> Times:
    """Choose the order that parses every date: of several, the closest to `near`, then the most regular one."""
    import numpy as np

    if not readings:
        raise DataError(f"{source}: some dates are day first, others month first.", hint=_FORMAT_HINT)
    if near is not None and (comparable := filled & (near != NOT_A_TIME)).any():
        readings = _best(readings, lambda times: (-float(np.median(np.abs(times[comparable] - near[comparable]))), 0))
    readings = _best(readings, lambda times: _regularity(times[filled]))
    order, *others = readings
    if all(np.array_equal(readings[order], readings[other]) for other in others):
        return readings[order]
    raise DataError(
        f"{source}: ambiguous dates, {' or '.join(readings)} ({example}).",
        hint="write them as 2024-01-31",
    )


def _best(readings: dict[str, Times], score: Callable[[Times], tuple[float, int]]) -> dict[str, Times]:
    """Return the readings with the highest score."""
    scores = {order: score(times) for order, times in readings.items()}
    return {order: readings[order] for order in readings if scores[order] == max(scores.values())}


def _regularity(times: Times) -> tuple[float, int]:
    """Return the share of time steps equal to the most common one, and the negative time span."""
    import numpy as np

    # np.unique takes quadratic time for multiples of a minute in nanoseconds, whose hashes collide.
    steps = np.diff(np.sort(times))
    steps = steps[steps > 0]
    if len(steps) == 0:
        return 0.0, 0
    _, counts = np.unique(steps, return_counts=True)
    return float(counts.max() / len(steps)), -int(steps.sum())
