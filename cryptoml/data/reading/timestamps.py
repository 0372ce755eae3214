"""Open times from epochs, dates, or both, converted to one UTC time per row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptoml.data.reading.dates import NOT_A_TIME, read_dates
from cryptoml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.data.reading.table import Table

    Times = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["NOT_A_TIME", "open_times"]

_DAY = 86_400 * 10**9
_SECOND = 10**9
# Nanoseconds beyond this (year 2255) do not fit into 64 bits.
_LATEST_EPOCH = 9e18


@dataclass(frozen=True)
class OpenTimes:
    """Nanoseconds since 1970, UTC, per row (NOT_A_TIME if missing); repaired rows by kind of repair; notes."""

    times: Times
    repaired: Mapping[str, Mask] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def open_times(source: str, table: Table, *, timezone: str | None = None) -> OpenTimes:
    """Determine the open time of each row.

    timezone: zone of dates without one; UTC if not given. If an epoch and a date disagree, the epoch is used unless a
    spreadsheet rounded it.
    """
    import numpy as np
    import pandas as pd

    frame = table.frame
    epoch = _epoch(frame["epoch"]) if "epoch" in frame else None
    dates = _dates(source, table, near=epoch, timezone=timezone) if "date" in frame else None
    if epoch is None:
        assert dates is not None
        return dates
    date = None if dates is None else dates.times
    known = epoch != NOT_A_TIME
    if date is None:
        # Rounded to six digits, epochs of hours and minutes coincide in steps of 10,000 s.
        if known.any() and _round_to(epoch[known], 7).all() and pd.Series(epoch[known]).nunique() < 0.6 * known.sum():
            raise DataError(
                f"{source}: a spreadsheet rounded the epochs, and no other column contains the time.",
                hint="get the file again and do not save it from a spreadsheet",
            )
        return OpenTimes(epoch)
    both = known & (date != NOT_A_TIME)
    whole_days = bool((date[both] % _DAY == 0).all()) and bool((epoch[both] % _DAY != 0).any())
    if whole_days and not _rounded_by_spreadsheet(epoch, date, both).any():
        # The date column has no time of day, so only days can be compared.
        apart = both & _days_apart(epoch, date)
        return OpenTimes(np.where(known, epoch, date), _where("date disagrees with the epoch, epoch used", apart))
    rounded = _rounded_by_spreadsheet(epoch, date, both)
    repaired = _where("epoch rounded by a spreadsheet, date used", rounded)
    repaired |= _where("date disagrees with the epoch, epoch used", both & ~rounded & (epoch != date))
    return OpenTimes(np.where(rounded | ~known, date, epoch), repaired)


def _where(kind: str, mask: Mask) -> dict[str, Mask]:
    return {kind: mask} if mask.any() else {}


def _days_apart(epoch: Times, date: Times) -> Mask:
    differ: Mask = (epoch // _DAY) != (date // _DAY)
    return differ


def _epoch(column: pd.Series[Any]) -> Times:
    """Convert epochs in seconds, milliseconds, microseconds or nanoseconds, each value by its size."""
    import numpy as np
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    valid = (numbers > 0) & (numbers < _LATEST_EPOCH)
    numbers = np.where(valid, numbers, 0.0)
    scale = np.select([numbers < 1e11, numbers < 1e14, numbers < 1e17], [1e9, 1e6, 1e3], 1.0)
    # Microseconds are exact in a double; nanoseconds are not.
    times: Times = np.where(valid, np.round(numbers * scale / 1000).astype(np.int64) * 1000, NOT_A_TIME)
    return times


def _round_to(epoch: Times, digits: int) -> Mask:
    """Return a mask of the epochs that are multiples of 10**digits milliseconds."""
    is_round: Mask = epoch % (10**digits * 1_000_000) == 0
    return is_round


def _rounded_by_spreadsheet(epoch: Times, date: Times, both: Mask) -> Mask:
    """Return a mask of the epochs that a spreadsheet rounded (1.63875E+12): round numbers close to their date.

    A round number alone is no evidence. In addition, several dates must share an epoch, or most epochs of the file must
    be round.
    """
    import numpy as np
    import pandas as pd

    distance = np.abs(np.where(both, epoch, 0) - np.where(both, date, 0))
    is_rounded = np.zeros(len(epoch), dtype=bool)
    for digits in (7, 8, 9, 10):
        unit = 10**digits * 1_000_000
        rounded = both & _round_to(epoch, digits)
        if not rounded.any():
            break
        near = rounded & (distance > 0) & (2 * distance <= unit)
        if not near.any():
            continue
        pairs = pd.DataFrame({"epoch": epoch[rounded], "date": date[rounded]}).drop_duplicates()
        coincide = pairs["epoch"].duplicated().any()
        if rounded.sum() > 0.5 * both.sum() or (coincide and digits == 7):
            is_rounded |= near
    return is_rounded


def _dates(source: str, table: Table, *, near: Times | None, timezone: str | None) -> OpenTimes:
    import numpy as np
    import pandas as pd

    column = table.frame["date"]
    clock = table.frame.get("clock")
    if pd.api.types.is_datetime64_any_dtype(column):
        times: Times = pd.to_datetime(column, utc=True).to_numpy(dtype="datetime64[ns]").astype(np.int64)
        known = times != NOT_A_TIME
        if clock is None or (times[known] % _DAY != 0).any():
            naive = known & (not isinstance(column.dtype, pd.DatetimeTZDtype))
            return _in_utc(source, table, times, naive, near=near, timezone=timezone)
        column = column.dt.strftime("%Y-%m-%d")
    if pd.api.types.is_numeric_dtype(column):
        column = column.astype("Int64")
    text = column.astype("string[pyarrow]")
    if clock is not None and not text.str.contains(r":|[AaPp][Mm]\s*$", regex=True).any():
        text = text + " " + _clock_text(clock)
    times, naive = read_dates(source, text, table.where, epochs=_epoch, near=near)
    return _in_utc(source, table, times, naive, near=near, timezone=timezone)


def _in_utc(
    source: str, table: Table, times: Times, naive: Mask, *, near: Times | None, timezone: str | None
) -> OpenTimes:
    """Convert dates without a zone from `timezone`, or read them as UTC; refuse or note signs of another zone."""
    import numpy as np

    from cryptoml.data.reading.local_time import detect_zone, to_utc

    if timezone is not None:
        positions = np.flatnonzero(naive)
        times = times.copy()
        times[positions] = to_utc(
            source, times[positions], timezone, lambda position: table.where(int(positions[position]))
        )
        return OpenTimes(times)
    evidence = detect_zone(times[naive]) if near is None and naive.any() else None
    if evidence is None:
        return OpenTimes(times)
    hint = f"--timezone {evidence.zone}"
    if evidence.is_certain:
        raise DataError(
            f"{source}: {evidence.sentence()}.", hint=f"name the zone where the file was written, such as {hint}"
        )
    return OpenTimes(times, notes=(f"{evidence.sentence()}; read as UTC unless {hint} is given",))


def _clock_text(clock: pd.Series[Any]) -> pd.Series[str]:
    """Convert times of day to text; numbers are hours, HHMM or HHMMSS, by their size."""
    import pandas as pd

    text = clock.astype("string[pyarrow]").str.strip()
    if not text.dropna().str.fullmatch(r"\d{1,6}(\.0)?").all():
        return text
    numbers = pd.to_numeric(text).astype("Int64")
    highest = int(numbers.max()) if numbers.notna().any() else 0
    if highest < 24:
        return numbers.astype("string").str.zfill(2) + ":00"
    return numbers.astype("string").str.zfill(4 if highest < 2400 else 6)
