"""Numbers as text and in documents, where NaN and infinity have no place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NOT_AVAILABLE = "n/a"
# The same in a table's cell.
NO_VALUE = "–"


def figure(value: float, form: str = "", *, unit: str = "") -> str:
    """The number in the format `form` with its unit, or "n/a" for one that is not finite."""
    return f"{value:{form}}{unit}" if math.isfinite(value) else NOT_AVAILABLE


def cell(value: float, form: str) -> str:
    """The number in the format `form`, or a dash for one that is not finite."""
    return f"{value:{form}}" if math.isfinite(value) else NO_VALUE


def price(value: float) -> str:
    """Five significant digits, whatever the size of the price, and no exponent; a dash if not finite."""
    if not math.isfinite(value):
        return NO_VALUE
    if value == 0:
        return "0"
    return f"{value:,.{max(0, 4 - math.floor(math.log10(abs(value))))}f}"


def only_finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without the numbers that are not finite."""
    return {name: value for name, value in values.items() if not isinstance(value, float) or math.isfinite(value)}
