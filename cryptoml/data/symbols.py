"""The market symbol of a file, from its symbol column or its name."""

from __future__ import annotations

import re
from itertools import pairwise

UNKNOWN = "UNKNOWN"
# The symbol of a model for several markets.
POOL = "POOL"
_QUOTES = "USDT|USDC|BUSD|TUSD|FDUSD|USD|EUR|GBP|JPY|BTC|ETH|BNB"
_PAIR = re.compile(rf"[A-Z0-9]{{2,12}}(?:{_QUOTES})")
_SMALL_PAIR = re.compile(r"[a-z0-9]{2,12}(?:usdt|usdc|busd|usd)")
# MetaTrader and Kraken append the minutes of a candle: BTCUSD60, XBTUSD_1440.
_MINUTES = re.compile(rf"([A-Z0-9]{{2,12}}(?:{_QUOTES}))(?:1|5|15|30|60|240|1440|10080)")
_INTERVAL = re.compile(r"\d{1,3}[smhdwSHDW](in)?|daily|hourly|minute", re.IGNORECASE)


def normalize_symbol(text: str) -> str:
    """Normalise a symbol: BTC/USDT, btc-usdt and BTC_USDT become BTCUSDT."""
    return re.sub(r"[/_\-\s:.]", "", text).upper()


def symbol_from_file_name(name: str) -> str:
    """Extract BTCUSDT from BTCUSDT_1h.csv.gz, BTC_USDT-1h.json, BTCUSDT60.csv or binance-btcusdt.csv; else UNKNOWN."""
    words = [word for word in re.split(r"[_\-.,\s]+", name) if word]
    for word in words:
        if _PAIR.fullmatch(word) or _SMALL_PAIR.fullmatch(word):
            return word.upper()
        if found := _MINUTES.fullmatch(word):
            return found[1]
    for base, quote in pairwise(words):
        if re.fullmatch(_QUOTES, quote) and re.fullmatch(r"[A-Z0-9]{2,12}", base):
            return base + quote
    if len(words) > 1 and re.fullmatch(r"[A-Z][A-Z0-9]{1,11}", words[0]) and _INTERVAL.fullmatch(words[1]):
        return words[0]
    return UNKNOWN
