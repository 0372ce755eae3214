"""Where candles can be fetched: one entry an exchange, all with public interfaces that need no key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from cryptoml.errors import UsageError


@dataclass(frozen=True)
class SourceSpec:
    """An exchange: its name in ccxt, the most candles it gives in one answer, and options for its client."""

    key: str
    page_candles: int
    doc: str
    options: Mapping[str, Any] = field(default_factory=dict)


# Futures have lists of markets of their own, which would be fetched as well.
_SPOT_ONLY = {"fetchMarkets": {"types": ["spot"]}}

SOURCES: dict[str, SourceSpec] = {
    spec.key: spec
    for spec in (
        SourceSpec("binance", 1000, "Binance, spot markets", _SPOT_ONLY),
        SourceSpec("binanceus", 1000, "Binance US, spot markets", _SPOT_ONLY),
        SourceSpec("bitstamp", 1000, "Bitstamp"),
        SourceSpec("coinbase", 300, "Coinbase"),
    )
}


def find_source(name: str) -> SourceSpec:
    """The entry called `name`, in any case; raises UsageError with the nearest name."""
    wanted = name.strip().lower()
    if wanted not in SOURCES:
        near = get_close_matches(wanted, SOURCES, n=1)
        raise UsageError(
            f"There is no exchange {name!r}.", hint=f"use {near[0]}" if near else f"choose from {', '.join(SOURCES)}"
        )
    return SOURCES[wanted]
