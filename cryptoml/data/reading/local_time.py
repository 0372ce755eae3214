"""Local times: converted to UTC if the zone is given, otherwise recognised by their clock changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cryptoml.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Times = NDArray[np.int64]

_SECOND = 10**9
_HOUR = 3600 * _SECOND
# Zones with the same local clock changes cannot be distinguished by the times alone; one represents all of them.
ZONES = {
    "America/New_York": "North America",
    "Europe/Berlin": "Central Europe",
    "Europe/London": "Britain and Ireland",
    "Europe/Athens": "Eastern Europe",
    "Australia/Sydney": "South-East Australia",
    "Pacific/Auckland": "New Zealand",
    "America/Sao_Paulo": "Brazil",
    "America/Santiago": "Chile",
    "Asia/Jerusalem": "Israel",
}


@dataclass(frozen=True)
class ZoneEvidence:
    """Clock changes of `zone` found in the times: hours that occur twice, and hours that are missing."""

    zone: str
    doubled: tuple[datetime, ...]
    skipped: tuple[datetime, ...]

    @property
    def is_certain(self) -> bool:
        """Whether hours occur twice, which happens only in local time."""
        return bool(self.doubled)

    def sentence(self) -> str:
        """Return the evidence as a sentence."""
        what = [
            f"{' and '.join(f'{one:%Y-%m-%d %H:%M}' for one in times[:2])} {word}"
            for times, word in ((self.doubled, "occurs twice"), (self.skipped, "is missing"))
            if times
        ]
        return f"the times look like local time of {ZONES[self.zone]} ({self.zone}), not UTC: {', '.join(what)}"


def to_utc(source: str, naive: Times, zone: str, where: Callable[[int], str]) -> Times:
    """Convert local times of `zone` to UTC; the first occurrence of a repeated hour is summer time.

    naive: nanoseconds, as if UTC, in the order of the file; where(place) names a line.
    Raises DataError for a time that the zone's clocks skip.
    """
    import numpy as np
    import pandas as pd

    local = pd.DatetimeIndex(naive.view("datetime64[ns]"))
    descending = len(naive) > 1 and naive[-1] < naive[0]
    first = pd.Series(naive).groupby(naive).cumcount(ascending=not descending).to_numpy() == 0
    localized = local.tz_localize(zone, ambiguous=first, nonexistent="NaT")
    missing = np.flatnonzero(np.asarray(localized.isna()))
    if len(missing):
        position = int(missing[0])
        raise DataError(
            f"{source}, {where(position)}: {local[position]:%Y-%m-%d %H:%M} does not exist in {zone}, "
            "whose clocks skip that hour.",
            hint="name the zone of the file with --timezone, or leave it out if the times are UTC",
        )
    times: Times = localized.tz_convert("UTC").to_numpy(dtype="datetime64[ns]").astype(np.int64)
    return times


def detect_zone(naive: Times) -> ZoneEvidence | None:
    """Find a zone whose clock changes all appear in these times; None if there is none.

    naive: nanoseconds, as if UTC, in any order. Candles longer than an hour are not checked.
    """
    import numpy as np

    times, counts = np.unique(naive, return_counts=True)
    if len(times) < 24 or np.median(np.diff(times)) > _HOUR:
        return None
    evidence = [item for zone in ZONES if (item := _evidence(zone, times, counts)) is not None]
    return max(evidence, key=lambda item: (len(item.doubled), len(item.skipped)), default=None)


def _evidence(zone: str, times: Times, counts: Times) -> ZoneEvidence | None:
    import numpy as np

    doubled, skipped = [], []
    for start, forward in _changes(zone, int(times[0]), int(times[-1])):
        # The times are sorted. Both neighbouring hours must exist; otherwise an outage would look like a clock change.
        before, first, last = np.searchsorted(times, (start - _HOUR, start, start + _HOUR))
        if last >= len(times) or times[before] != start - _HOUR or times[last] != start + _HOUR:
            continue
        when = datetime.fromtimestamp(start / _SECOND, UTC)
        if forward:
            if last > first:
                return None
            skipped.append(when)
        elif last > first and (counts[first:last] > 1).all():
            doubled.append(when)
    if not doubled and not skipped:
        return None
    return ZoneEvidence(zone, tuple(doubled), tuple(skipped))


def _changes(zone: str, first: int, last: int) -> list[tuple[int, bool]]:
    """Return the starts (nanoseconds, local) of the hours that the zone's clocks skip (True) or repeat (False)."""
    clock = ZoneInfo(zone)

    def offset(time: datetime) -> timedelta:
        return time.astimezone(clock).utcoffset() or timedelta()

    changes = []
    day = datetime.fromtimestamp(first / _SECOND, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while day.timestamp() * _SECOND < last:
        following = day + timedelta(days=1)
        before, after = offset(day), offset(following)
        if before != after:
            change = next(at for hour in range(1, 25) if offset(at := day + timedelta(hours=hour)) != before)
            local = change + min(before, after)
            changes.append((int(local.timestamp()) * _SECOND, after > before))
        day = following
    return changes
