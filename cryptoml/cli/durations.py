"""Durations on the command line, such as 30m."""

from __future__ import annotations

import re

from cryptoml.errors import UsageError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(option: str, text: str) -> float:
    """Return the seconds of a duration such as 90s, 30m, 1.5h or 1d. Raise UsageError that names the option."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip().lower())
    if found is None or float(found[1]) == 0:
        raise UsageError(f"{option} {text}: is not a duration.", hint=f"{option} 30m; s, m, h and d are possible")
    return float(found[1]) * _SECONDS[found[2]]
