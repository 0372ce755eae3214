"""The candle interval, written like 1m, 15m, 1h, 4h or 1d."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True)
class Interval:
    """A candle interval; `label` is the short form with the largest unit that divides it, such as 4h."""

    label: str
    seconds: int

    @property
    def timedelta(self) -> pd.Timedelta:
        """The length as a pandas Timedelta."""
        import pandas as pd

        return pd.Timedelta(seconds=self.seconds)


def parse_interval(text: str) -> Interval:
    """Parse an interval such as 1h, 15m or 1D; raises UsageError."""
    match = re.fullmatch(r"\s*(\d+)\s*([smhdwSHDW])\s*", text)
    if not match or int(match[1]) == 0:
        raise UsageError(f"{text!r} is not an interval.", hint="write it like 1m, 15m, 1h, 4h or 1d")
    return interval_from_seconds(int(match[1]) * _UNITS[match[2].lower()])


def interval_from_seconds(seconds: int) -> Interval:
    """Convert a number of seconds to an interval."""
    for unit in ("d", "h", "m", "s"):
        if seconds % _UNITS[unit] == 0:
            return Interval(f"{seconds // _UNITS[unit]}{unit}", seconds)
    raise AssertionError("every whole number of seconds is divisible by one second")


def default_max_no_trade(interval: Interval) -> int:
    """Return the longest gap, in candles, that is treated as "no trade": 30 for intervals below an hour, else 0.

    Exchanges omit minutes without a trade; an hour without one is an outage.
    """
    return 30 if interval.seconds < 3600 else 0


def max_no_trade(interval: Interval, chosen: int | None) -> int:
    """Return the longest gap that is treated as "no trade": as chosen, else the default of the interval."""
    return default_max_no_trade(interval) if chosen is None else chosen
