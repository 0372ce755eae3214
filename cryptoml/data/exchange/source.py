"""What a data source is: something that lists markets and returns their candles a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cryptoml import events
from cryptoml.data.interval import Interval

# Open time (ms since 1970, UTC), open, high, low, close, volume.
Candle = tuple[int, float, float, float, float, float]


@dataclass(frozen=True)
class Timeframe:
    """An interval under the name that the source uses for it."""

    name: str
    interval: Interval

    @property
    def milliseconds(self) -> int:
        """The candle's length."""
        return self.interval.seconds * 1000


class Source(Protocol):
    """An open connection to a source of candles. Its methods raise UnavailableError when it does not answer."""

    @property
    def page_candles(self) -> int:
        """The most candles in one page."""

    def now_ms(self) -> int:
        """The source's clock (ms since 1970, UTC)."""

    def symbol(self, text: str) -> str:
        """The source's name of the market that BTC/USDT, btc-usdt or BTCUSDT names; raises UsageError."""

    def timeframe(self, text: str) -> Timeframe:
        """The interval under the source's name for it; raises UsageError if it has no candles of it."""

    def page(self, symbol: str, timeframe: Timeframe, *, since_ms: int) -> list[Candle]:
        """The first candles that open at or after `since_ms`, oldest first; the last one may still be open."""

    def newest_ms(self, symbol: str, timeframe: Timeframe) -> int | None:
        """Open time of the newest candle; None if the market has none."""


class OpenSource(Protocol):
    """Open a connection without a request. url: another host for all addresses of the source."""

    def __call__(self, *, url: str | None, on_event: events.OnEvent) -> Source:
        """The connection."""


@dataclass(frozen=True)
class SourceSpec:
    """An entry of SOURCES: the name on the command line, a short description, and how to connect."""

    key: str
    doc: str
    open: OpenSource
