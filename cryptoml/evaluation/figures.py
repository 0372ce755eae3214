"""Formats numbers for texts and tables; NaN and infinity are replaced."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NOT_AVAILABLE = "n/a"
# The placeholder in a table cell.
NO_VALUE = "–"


def figure(value: float, fmt: str = "", *, unit: str = "") -> str:
    """Format a number with its unit; "n/a" if it is not finite."""
    return f"{value:{fmt}}{unit}" if math.isfinite(value) else NOT_AVAILABLE


def cell(value: float, fmt: str) -> str:
    """Format a number for a table cell; a dash if it is not finite."""
    return f"{value:{fmt}}" if math.isfinite(value) else NO_VALUE


# The format of p-values, with three digits after the point.
P_VALUE = "p"


def p_value(value: float) -> str:
    """Format a p-value for a table cell; "<0.001" below that, a dash if it is not finite."""
    return "<0.001" if 0 <= value < 0.001 else cell(value, ".3f")


def price(value: float) -> str:
    """Format a price with five significant digits and no exponent; a dash if it is not finite."""
    if not math.isfinite(value):
        return NO_VALUE
    if value == 0:
        return "0"
    return f"{value:,.{max(0, 4 - math.floor(math.log10(abs(value))))}f}"


def only_finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the numbers that are not finite."""
    return {name: value for name, value in values.items() if not isinstance(value, float) or math.isfinite(value)}
