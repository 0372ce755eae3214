"""The registered model of a market."""

from __future__ import annotations

import re


def market_model_name(name: str, *, symbol: str, interval: str) -> str:
    """Return the registered model of one of several markets: `crypto-price-predictor-btcusdt-1h`.

    The part for the market is not added twice.
    """
    market = re.sub(r"[^a-z0-9]+", "-", f"{symbol}-{interval}".lower()).strip("-")
    return name if name.endswith(f"-{market}") else f"{name}-{market}"
