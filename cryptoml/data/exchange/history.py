"""The history of a market between two times, page by page: complete candles, each once, and the gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptoml.data.exchange.source import Candle, Source, Timeframe


@dataclass(frozen=True)
class Gap:
    """Candles missing at the exchange: their number, and the open time before them (ms, UTC)."""

    after_ms: int
    candles: int


@dataclass(frozen=True)
class Page:
    """New candles, oldest first, and the gaps before and between them."""

    candles: tuple[Candle, ...]
    gaps: tuple[Gap, ...]


def pages(
    source: Source,
    symbol: str,
    timeframe: Timeframe,
    *,
    since_ms: int,
    last_ms: int | None,
    until_ms: int | None,
    now_ms: int,
) -> Iterator[Page]:
    """Yield the candles that open from `since_ms` to before `until_ms` and are complete at `now_ms`.

    last_ms: open time of the previous candle, if any; the gap after it is reported. Empty pages are skipped if the
    market has later candles.
    """
    length = timeframe.milliseconds
    cursor, newest = since_ms, None
    last_open = now_ms - length if until_ms is None else min(until_ms - 1, now_ms - length)
    while cursor <= last_open:
        response = source.page(symbol, timeframe, since_ms=cursor)
        candles = tuple(candle for candle in response if candle[0] <= last_open)
        if candles:
            yield Page(candles, tuple(_gaps(last_ms, candles, length)))
            last_ms = candles[-1][0]
            cursor = last_ms + length
        if len(candles) < len(response):
            return
        if not response:
            if newest is None:
                newest = source.newest_ms(symbol, timeframe) or 0
            if newest < cursor:
                return
            cursor += source.page_candles * length


def _gaps(last_ms: int | None, candles: tuple[Candle, ...], length: int) -> Iterator[Gap]:
    for candle in candles:
        missing = 0 if last_ms is None else (candle[0] - last_ms) // length - 1
        if last_ms is not None and missing > 0:
            yield Gap(last_ms, missing)
        last_ms = candle[0]
