"""SOURCES: where candles can be fetched, without a key. A new one is an entry, with a file here if ccxt lacks it."""

from __future__ import annotations

from difflib import get_close_matches

from cryptoml.data.exchange.client import ccxt_source
from cryptoml.data.exchange.source import SourceSpec
from cryptoml.errors import UsageError

# Markets of futures have lists of their own, which would be fetched as well.
_SPOT_ONLY = {"fetchMarkets": {"types": ["spot"]}}

SOURCES: dict[str, SourceSpec] = {
    spec.key: spec
    for spec in (
        ccxt_source("binance", "Binance, spot markets", page_candles=1000, options=_SPOT_ONLY),
        ccxt_source("binanceus", "Binance US, spot markets", page_candles=1000, options=_SPOT_ONLY),
        ccxt_source("bitstamp", "Bitstamp", page_candles=1000),
        ccxt_source("coinbase", "Coinbase", page_candles=300),
    )
}


def find_source(name: str) -> SourceSpec:
    """Look up a source by name, in any case; raises UsageError with the nearest name."""
    wanted = name.strip().lower()
    if wanted not in SOURCES:
        near = get_close_matches(wanted, SOURCES, n=1)
        raise UsageError(
            f"There is no exchange {name!r}.", hint=f"use {near[0]}" if near else f"choose from {', '.join(SOURCES)}"
        )
    return SOURCES[wanted]
