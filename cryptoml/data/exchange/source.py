"""The interface of data sources, which list markets and return their candles page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cryptoml import events
from cryptoml.data.interval import Interval

# Open time (ms since 1970, UTC), open, high, low, close, volume.
Candle = tuple[int, float, float, float, float, float]


@dataclass(frozen=True)
class Timeframe:
    """A candle interval, with its name at the source."""

    name: str
    interval: Interval

    @property
    def milliseconds(self) -> int:
        """Length of a candle in milliseconds."""
        return self.interval.seconds * 1000


class Source(Protocol):
    """An open connection to a source of candles. Its methods raise UnavailableError if it does not respond."""

    @property
    def page_candles(self) -> int:
        """Maximum number of candles per page."""

    def now_ms(self) -> int:
        """Return the clock of the source (ms since 1970, UTC)."""

    def symbol(self, text: str) -> str:
        """Resolve BTC/USDT, btc-usdt or BTCUSDT to the source's name of the market; raises UsageError."""

    def timeframe(self, text: str) -> Timeframe:
        """Resolve an interval to the source's name for it; raises UsageError if the source does not offer it."""

    def page(self, symbol: str, timeframe: Timeframe, *, since_ms: int) -> list[Candle]:
        """Return the first candles that open at or after `since_ms`, oldest first; the last one may be incomplete."""

    def newest_ms(self, symbol: str, timeframe: Timeframe) -> int | None:
        """Return the open time of the latest candle (ms, UTC); None if the market has no candles."""


class OpenSource(Protocol):
    """Open a connection without a request. url: another host for all addresses of the source."""

    def __call__(self, *, url: str | None, on_event: events.OnEvent) -> Source:
        """Return the connection."""


@dataclass(frozen=True)
class SourceSpec:
    """An entry of SOURCES: the name on the command line, a short description, and how to connect.

    newest_candles: how many candles there are, the newest ones; None if the whole history is available.
    """

    key: str
    doc: str
    open: OpenSource
    newest_candles: int | None = None
