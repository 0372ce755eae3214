"""Numbers as tables show them."""

from __future__ import annotations


def price(value: float) -> str:
    """Five figures, whatever the size of the price, and no exponent."""
    from math import floor, isfinite, log10

    from cryptoml.evaluation.figures import NOT_AVAILABLE

    if not isfinite(value):
        return NOT_AVAILABLE
    if value == 0:
        return "0"
    return f"{value:,.{max(0, 4 - floor(log10(abs(value))))}f}"
