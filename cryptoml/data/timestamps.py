"""Open times as people write them, read into UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptoml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.data.tables import Table

NOT_A_TIME = -(2**63)
_TWELVE_HOURS = r"^\d{4}-\d{2}-\d{2} \d{1,2}-[AaPp][Mm]$"
_BY_ORDER = {"day first": "%d", "month first": "%m"}


def open_times(path: str, table: Table) -> tuple[NDArray[np.int64], dict[str, NDArray[np.bool_]]]:
    """Nanoseconds since 1970, UTC, a row (NOT_A_TIME where there is none), and which rows were how repaired.

    An epoch and a date that disagree: the epoch counts, unless a spreadsheet rounded it.
    """
    import numpy as np

    frame = table.frame
    n = len(frame)
    repaired: dict[str, NDArray[np.bool_]] = {}
    epoch = _epoch(frame["epoch"]) if "epoch" in frame else None
    date = _dates(path, table) if "date" in frame else None
    if epoch is None:
        assert date is not None
        return date, repaired
    if date is None:
        return epoch, repaired
    ruined = _rounded(epoch, date)
    if ruined.any():
        repaired["epoch rounded by a spreadsheet, date used"] = ruined
    disagree = ~ruined & (epoch != date) & (epoch != NOT_A_TIME) & (date != NOT_A_TIME)
    if disagree.any():
        repaired["date disagrees with the epoch, epoch used"] = disagree
    chosen = np.where(ruined | (epoch == NOT_A_TIME), date, epoch)
    assert len(chosen) == n
    return chosen, repaired


def _epoch(column: pd.Series) -> NDArray[np.int64]:
    import numpy as np
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    size = np.abs(numbers)
    scale = np.select([size < 1e11, size < 1e14, size < 1e17], [1e9, 1e6, 1e3], 1.0)
    known = np.isfinite(numbers) & (numbers > 0)
    times = np.full(len(numbers), NOT_A_TIME, dtype=np.int64)
    # Whole seconds of every form are exact in a double; nanoseconds are not, so round to microseconds.
    times[known] = np.round(numbers[known] * scale[known] / 1000).astype(np.int64) * 1000
    return times


def _rounded(epoch: NDArray[np.int64], date: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Epochs in milliseconds that were cut to six digits (1.63875E+12): round numbers, close to their date.

    Coarser rounding is believed only where most of the file shows it.
    """
    import numpy as np

    known = (epoch != NOT_A_TIME) & (date != NOT_A_TIME)
    distance = np.abs(np.where(known, epoch, 0) - np.where(known, date, 0))
    found = np.zeros(len(epoch), dtype=bool)
    for digits in (7, 8, 9):
        unit = 10**digits * 1_000_000
        rounded = known & (epoch % unit == 0)
        if digits == 7 or rounded.mean() > 0.5:
            found |= rounded & (distance > 0) & (2 * distance <= unit)
    return found


def _dates(path: str, table: Table) -> NDArray[np.int64]:
    import numpy as np
    import pandas as pd

    column = table.frame["date"]
    if isinstance(column.dtype, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_any_dtype(column):
        return _nanoseconds(pd.to_datetime(column, utc=True))
    if pd.api.types.is_numeric_dtype(column):
        return _epoch(column)
    text = column.astype("string").str.strip()
    if text.str.fullmatch(r"\d{9,19}(\.\d+)?").all():
        return _epoch(text)
    if "clock" in table.frame and not text.str.contains(":", regex=False).any():
        text = text + " " + table.frame["clock"].astype("string").str.strip()
    times = np.full(len(text), NOT_A_TIME, dtype=np.int64)
    twelve = text.str.fullmatch(_TWELVE_HOURS).fillna(False).to_numpy(dtype=bool)
    if twelve.any():
        times[twelve] = _nanoseconds(pd.to_datetime(text[twelve], format="%Y-%m-%d %I-%p", utc=True, errors="coerce"))
    iso = ~twelve & text.str.match(r"^\d{4}[-/.]?\d{2}[-/.]?\d{2}").fillna(False).to_numpy(dtype=bool)
    if iso.any():
        plain = text[iso].str.replace(r"^(\d{4})[/.](\d{2})[/.](\d{2})", r"\1-\2-\3", regex=True)
        times[iso] = _nanoseconds(pd.to_datetime(plain, format="ISO8601", utc=True, errors="coerce"))
    epoch = ~twelve & ~iso & text.str.fullmatch(r"\d{9,19}(\.\d+)?").fillna(False).to_numpy(dtype=bool)
    if epoch.any():
        times[epoch] = _epoch(text[epoch])
    rest = ~twelve & ~iso & ~epoch & text.notna().to_numpy(dtype=bool)
    if rest.any():
        times[rest] = _ambiguous(path, text[rest])
    unread = (times == NOT_A_TIME) & text.notna().to_numpy(dtype=bool)
    if unread.any():
        rows = np.flatnonzero(unread)
        shown = ", ".join(f"{table.where(int(row))}: {text.iloc[int(row)]}" for row in rows[:5])
        raise DataError(
            f"{path}: {len(rows)} times cannot be read: {shown}.", mend="write them as 2024-01-31 13:00, in UTC"
        )
    return times


def _ambiguous(path: str, text: pd.Series) -> NDArray[np.int64]:
    """Dates with the year last: day or month first, whichever gives the file regular steps; or refused."""
    import pandas as pd

    plain = text.str.replace(r"[/.]", "-", n=2, regex=True)
    year = "%Y" if plain.str.match(r"^\d{1,2}-\d{1,2}-\d{4}").all() else "%y"
    clock = ""
    if plain.str.contains(":", regex=False).all():
        clock = " %I:%M:%S %p" if plain.str.contains("[AaPp][Mm]$").all() else " %H:%M:%S"
        if plain.str.count(":").max() == 1:
            clock = clock.replace(":%S", "")
    readings = {}
    for name, order in (("day first", "%d-%m-"), ("month first", "%m-%d-")):
        parsed = pd.to_datetime(plain, format=order + year + clock, utc=True, errors="coerce")
        if parsed.notna().all():
            readings[name] = _nanoseconds(parsed)
    if not readings:
        return _nanoseconds(pd.to_datetime(plain, format="mixed", utc=True, errors="coerce"))
    regular = {name: _regularity(times) for name, times in readings.items()}
    best = max(regular, key=lambda name: regular[name])
    if len(readings) == 2 and regular["day first"] == regular["month first"]:
        raise DataError(
            f"{path}: the dates can be read day first and month first ({text.iloc[0]}); the file does not settle it.",
            mend="write them as 2024-01-31",
        )
    return readings[best]


def _regularity(times: NDArray[np.int64]) -> float:
    """The share of steps that equal the most common one, in file order."""
    import numpy as np

    steps = np.diff(times)
    if len(steps) == 0:
        return 0.0
    _, counts = np.unique(steps, return_counts=True)
    return float(counts.max() / len(steps))


def _nanoseconds(column: pd.Series) -> NDArray[np.int64]:
    import numpy as np

    values: NDArray[np.int64] = column.to_numpy(dtype="datetime64[ns]").astype(np.int64)
    return values
