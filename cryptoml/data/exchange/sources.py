"""SOURCES: public sources of candles, without an API key. To add one, add an entry (and a file, if not in ccxt)."""

from __future__ import annotations

from difflib import get_close_matches

from cryptoml.data.exchange.client import ccxt_source
from cryptoml.data.exchange.source import SourceSpec
from cryptoml.errors import UsageError

# Do not fetch the separate market lists of futures.
_SPOT_ONLY = {"fetchMarkets": {"types": ["spot"]}}

SOURCES: dict[str, SourceSpec] = {
    spec.key: spec
    for spec in (
        ccxt_source("binance", "Binance, spot markets", page_candles=1000, options=_SPOT_ONLY),
        ccxt_source("binanceus", "Binance US, spot markets", page_candles=1000, options=_SPOT_ONLY),
        ccxt_source("bitstamp", "Bitstamp", page_candles=1000),
        ccxt_source("bybit", "Bybit, spot markets", page_candles=1000, options=_SPOT_ONLY),
        # ccxt's request includes both ends, so that it is for one candle more; 300 is the most of an answer.
        ccxt_source("coinbase", "Coinbase", page_candles=299),
        ccxt_source("kraken", "Kraken; the newest 720 candles only", page_candles=720, newest_candles=720),
        ccxt_source("okx", "OKX, spot markets", page_candles=300, options=_SPOT_ONLY),
    )
}


def find_source(name: str) -> SourceSpec:
    """Look up a source by name, in any case; raises UsageError with the nearest name."""
    key = name.strip().lower()
    if key not in SOURCES:
        nearest = get_close_matches(key, SOURCES, n=1)
        raise UsageError(
            f"unknown exchange {name!r}.",
            hint=f"use {nearest[0]}" if nearest else f"choose from {', '.join(SOURCES)}",
        )
    return SOURCES[key]
