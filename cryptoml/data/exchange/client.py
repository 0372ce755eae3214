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
        """The clock of the exchange if it offers one: with a fast local clock, open candles would count as complete."""
        if not self.client.has.get("fetchTime"):
            return int(time.time() * 1000)
        return int(with_retries(self.client, self.client.fetch_time, on_event=self.on_event))

    def symbol(self, text: str) -> str:
        """The market that BTC/USDT, btc-usdt or BTCUSDT names; raises UsageError with the nearest names."""
        with_retries(self.client, self.client.load_markets, on_event=self.on_event)
        names: dict[str, str] = {
            normalize_symbol(name): name for name, market in self.client.markets.items() if market.get("spot")
        }
        wanted = normalize_symbol(text)
        if wanted not in names:
            near = [names[key] for key in get_close_matches(wanted, names, n=3)]
            other = f"it may be delisted: leave out --symbol {text}" if "/" in text else "write it like BTC/USDT"
            raise UsageError(
                f"{self.key} has no market {text!r}.",
                hint=f"did you mean {' or '.join(near)}?" if near else other,
            )
        return names[wanted]

    def timeframe(self, text: str) -> Timeframe:
        """The interval, if the exchange has candles of it; raises UsageError with those it has."""
        wanted = parse_interval(text)
        # Months differ in length.
        known = {name: parse_interval(name) for name in self.client.timeframes if not name.endswith("M")}
        for name, interval in known.items():
            if interval == wanted:
                return Timeframe(name, interval)
        near = sorted(known, key=lambda name: abs(known[name].seconds - wanted.seconds))[:2]
        raise UsageError(
            f"{self.key} has no candles of {wanted.label}.",
            hint=f"did you mean {' or '.join(near)}? It has {', '.join(known)}",
        )

    def page(self, symbol: str, timeframe: Timeframe, *, since_ms: int) -> list[Candle]:
        """The next candles from `since_ms` on, oldest first; the last one may still be open."""
        rows = with_retries(
            self.client,
            lambda: self._fetch(symbol, timeframe, since=since_ms, limit=self.page_candles),
            on_event=self.on_event,
        )
        return [row for row in rows if row[0] >= since_ms]

    def newest_ms(self, symbol: str, timeframe: Timeframe) -> int | None:
        """Open time of the market's newest candle; None when it has none at all."""
        rows = with_retries(
            self.client, lambda: self._fetch(symbol, timeframe, since=None, limit=2), on_event=self.on_event
        )
        return rows[-1][0] if rows else None

    def _fetch(self, symbol: str, timeframe: Timeframe, *, since: int | None, limit: int) -> list[Candle]:
        rows = self.client.fetch_ohlcv(symbol, timeframe.name, since=since, limit=limit)
        found = {int(time_ms): tuple(map(float, values[:5])) for time_ms, *values in rows if None not in values[:5]}
        return [(time_ms, *found[time_ms]) for time_ms in sorted(found)]  # type: ignore[misc]


def ccxt_source(key: str, doc: str, *, page_candles: int, options: Mapping[str, Any] | None = None) -> SourceSpec:
    """Describe an exchange by its name in ccxt.

    page_candles: the most candles in one answer. options: for ccxt's client.
    """

    def open_exchange(*, url: str | None, on_event: events.OnEvent) -> Exchange:
        import ccxt

        client = getattr(ccxt, key)(
            {
                "enableRateLimit": True,
                "enableLastJsonResponse": True,
                # Otherwise the client ignores HTTPS_PROXY and the like.
                "requests_trust_env": True,
                "timeout": int(TIMEOUT_S * 1000),
                "options": dict(options or {}),
            }
        )
        if url:
            client.urls["api"] = _moved(client.urls["api"], url)
        return Exchange(key, page_candles, client, on_event)

    return SourceSpec(key, doc, open_exchange)


def _moved(addresses: Any, url: str) -> Any:
    """Replace the host in all URLs of an exchange, which are strings or nested dicts."""
    if isinstance(addresses, dict):
        return {name: _moved(one, url) for name, one in addresses.items()}
    target = urlsplit(url)
    return urlunsplit((target.scheme, target.netloc, *urlsplit(addresses)[2:]))
