"""Figures in sentences, tables and ledgers, where "nan" says nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NOT_AVAILABLE = "n/a"


def figure(value: float, form: str = "", *, unit: str = "") -> str:
    """The number in the format `form` with its unit, or "n/a" for one that is not finite."""
    return f"{value:{form}}{unit}" if math.isfinite(value) else NOT_AVAILABLE


def only_finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without the numbers that are not finite."""
    return {name: value for name, value in values.items() if not isinstance(value, float) or math.isfinite(value)}
