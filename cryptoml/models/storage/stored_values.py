"""Values of the JSON description of a stored forecaster, checked one by one. All functions raise ValueError."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_MAX_TEXT_LENGTH = 200


def checked_text(about: Mapping[str, Any], name: str) -> str:
    """Return a printable string."""
    value = about[name]
    if not isinstance(value, str) or len(value) > _MAX_TEXT_LENGTH or not value.isprintable():
        raise ValueError(f"{name} is not a printable string of at most {_MAX_TEXT_LENGTH} characters")
    return value


def checked_integer(about: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """Return an integer from `low` to `high`."""
    value = about[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} is {str(value)[:50]!r}, not an integer from {low:,} to {high:,}")
    return value


def checked_number(about: Mapping[str, Any], name: str, low: float, high: float = math.inf) -> float:
    """Return a finite number from `low` to `high`."""
    value = about[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {str(value)[:50]!r}, not a finite number")
    if not low <= value <= high:
        raise ValueError(f"{name} is {str(value)[:50]}, not from {low:g} to {high:g}")
    return value
