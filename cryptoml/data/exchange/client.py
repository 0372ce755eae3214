"""A data source that reads an exchange through ccxt."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from cryptoml import events
from cryptoml.data.exchange.retry import with_retries
from cryptoml.data.exchange.source import Candle, SourceSpec, Timeframe
from cryptoml.data.interval import parse_interval
from cryptoml.data.symbols import normalize_symbol
from cryptoml.errors import UsageError

if TYPE_CHECKING:
    from ccxt.base.exchange import Exchange as Client

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Exchange:
    """An open connection; all calls respect the rate limit of the exchange and are retried if that can help."""

    key: str
    page_candles: int
    client: Client
    on_event: events.OnEvent

    def now_ms(self) -> int:
        """Return the clock of the exchange, if available: a fast local clock would make open candles seem complete."""
        if not self.client.has.get("fetchTime"):
            return int(time.time() * 1000)
        return int(with_retries(self.client, self.client.fetch_time, on_event=self.on_event))

    def symbol(self, text: str) -> str:
        """Resolve BTC/USDT, btc-usdt or BTCUSDT to a market; raises UsageError with the nearest names."""
        with_retries(self.client, self.client.load_markets, on_event=self.on_event)
        names: dict[str, str] = {
            normalize_symbol(name): name for name, market in self.client.markets.items() if market.get("spot")
        }
        symbol = normalize_symbol(text)
        if symbol not in names:
            nearest = [names[key] for key in get_close_matches(symbol, names, n=3)]
            fallback = f"it may be delisted: remove --symbol {text}" if "/" in text else "write it like BTC/USDT"
            raise UsageError(
                f"{self.key} has no market {text!r}.",
                hint=f"did you mean {' or '.join(nearest)}?" if nearest else fallback,
            )
        return names[symbol]

    def timeframe(self, text: str) -> Timeframe:
        """Resolve an interval of the exchange; raises UsageError with the available ones."""
        requested = parse_interval(text)
        # Months differ in length.
        intervals = {name: parse_interval(name) for name in self.client.timeframes if not name.endswith("M")}
        for name, interval in intervals.items():
            if interval == requested:
                return Timeframe(name, interval)
        nearest = sorted(intervals, key=lambda name: abs(intervals[name].seconds - requested.seconds))[:2]
        raise UsageError(
            f"{self.key} has no candles of {requested.label}.",
            hint=f"did you mean {' or '.join(nearest)}? It has {', '.join(intervals)}",
        )

    def page(self, symbol: str, timeframe: Timeframe, *, since_ms: int) -> list[Candle]:
        """Return the next candles from `since_ms` on, oldest first; the last one may be incomplete."""
        rows = with_retries(
            self.client,
            lambda: self._fetch(symbol, timeframe, since=since_ms, limit=self.page_candles),
            on_event=self.on_event,
        )
        return [row for row in rows if row[0] >= since_ms]

    def newest_ms(self, symbol: str, timeframe: Timeframe) -> int | None:
        """Return the open time of the latest candle (ms, UTC); None if the market has no candles."""
        rows = with_retries(
            self.client, lambda: self._fetch(symbol, timeframe, since=None, limit=2), on_event=self.on_event
        )
        return rows[-1][0] if rows else None

    def _fetch(self, symbol: str, timeframe: Timeframe, *, since: int | None, limit: int) -> list[Candle]:
        rows = self.client.fetch_ohlcv(symbol, timeframe.name, since=since, limit=limit)
        candles = {int(time_ms): tuple(map(float, values[:5])) for time_ms, *values in rows if None not in values[:5]}
        return [(time_ms, *candles[time_ms]) for time_ms in sorted(candles)]  # type: ignore[misc]


def ccxt_source(
    key: str,
    doc: str,
    *,
    page_candles: int,
    newest_candles: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> SourceSpec:
    """Describe an exchange by its name in ccxt.

    page_candles: the maximum number of candles per page. newest_candles: as in `SourceSpec`. options: of ccxt's client.
    """

    def open_exchange(*, url: str | None, on_event: events.OnEvent) -> Exchange:
        import ccxt

        client = getattr(ccxt, key)(
            {
                "enableRateLimit": True,
                "enableLastJsonResponse": True,
                # Without it the client ignores proxies in the environment (HTTPS_PROXY).
                "requests_trust_env": True,
                "timeout": int(TIMEOUT_S * 1000),
                "options": dict(options or {}),
            }
        )
        if url:
            client.urls["api"] = _with_host(client.urls["api"], url)
        return Exchange(key, page_candles, client, on_event)

    return SourceSpec(key, doc, open_exchange, newest_candles)


def _with_host(addresses: Any, url: str) -> Any:
    """Replace the host in all URLs of an exchange, which are strings or nested dicts."""
    if isinstance(addresses, dict):
        return {name: _with_host(address, url) for name, address in addresses.items()}
    target = urlsplit(url)
    return urlunsplit((target.scheme, target.netloc, *urlsplit(addresses)[2:]))
