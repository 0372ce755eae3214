"""Times at which candles end, converted to the times at which they open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptoml.data.cleaning.quality import Finding
from cryptoml.data.interval import interval_from_seconds

if TYPE_CHECKING:
    from cryptoml.data.cleaning.repair import Rows

_SECOND = 10**9
_MINUTE = 60 * _SECOND
# The last second, millisecond or microsecond of a candle.
_ENDS = (_SECOND, 10**6, 10**3)
# The share of rows that must end in this way; a candle that is not complete may have the time of its download.
_MIN_SHARE = 0.95


def shift(rows: Rows, interval_seconds: int, *, is_close_time: bool) -> None:
    """Convert close times such as 23:59:59 or 00:59:59.999 to open times, and report it.

    is_close_time: whether the column is named as one, and its times are also converted if they are whole minutes.
    """
    times = rows.frame["time"].to_numpy()
    end = next((end for end in _ENDS if ((times + end) % _MINUTE == 0).mean() >= _MIN_SHARE), None)
    if interval_seconds < 60 or (end is None and not is_close_time):
        return
    rows.frame = rows.frame.assign(time=times + (end or 0) - interval_seconds * _SECOND)
    label = interval_from_seconds(interval_seconds).label
    rows.findings.append(Finding(f"close time, converted to the open time {label} before", "repaired", len(times)))
