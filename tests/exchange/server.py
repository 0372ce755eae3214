"""A stand-in exchange on loopback: Binance's public REST interface over simulated candles, with faults on order."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptoml.data.interval import parse_interval
from cryptoml.data.simulation.simulate import simulate

MOST_CANDLES = 1000
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")


@dataclass(frozen=True)
class Fault:
    """What one request for candles meets instead of an answer.

    kind: a status ("429", "418", "451", "503"), "silence" (no answer), "drop" (the line is cut), "cut" (half an
    answer), or "page" (a web page with status 200). retry_after: the header, in seconds.
    """

    kind: str
    retry_after: str | None = None


@dataclass
class Market:
    """A market's candles as klines, by open time; the one still open at `now_ms` is among them, unfinished."""

    base: str
    quote: str
    interval: str
    rows: list[list[Any]]

    @property
    def id(self) -> str:
        return self.base + self.quote

    @property
    def length_ms(self) -> int:
        return parse_interval(self.interval).seconds * 1000


@dataclass
class StandIn:
    """The exchange's state: markets, its clock, the faults to come, and what was asked.

    captive: every answer is a web page, as behind the sign-in of a guest network. bounded: an answer covers only
    `limit` intervals from startTime on, so that one inside a gap is empty, as with exchanges other than Binance.
    """

    markets: dict[tuple[str, str], Market]
    now_ms: int
    bounded: bool = False
    faults: list[Fault] = field(default_factory=list)
    faults_after: int = 0
    captive: bool = False
    log: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event | None = None
    # (state, path, query) -> status and answer, for an exchange other than Binance.
    dialect: Callable[[StandIn, str, dict[str, str]], tuple[int, Any]] | None = None
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def pages(self) -> list[dict[str, str]]:
        """The requests for candles, in order."""
        return [query for path, query in self.log if path == "/api/v3/klines"]

    def start(self, port: int = 0) -> StandIn:
        state = self

        class Handler(_Handler):
            standin = state

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def as_of_now(self, row: list[Any]) -> list[Any]:
        """Return a candle; one that is still open has other prices and less volume than it will have."""
        if row[6] < self.now_ms:
            return row
        return [*row[:4], row[1], f"{float(row[5]) / 2:.8f}", *row[6:]]

    def remove(self, symbol: str, interval: str, first: int, count: int) -> None:
        """Take `count` candles out of the history."""
        rows = self.markets[symbol, interval].rows
        del rows[first : first + count]


def make_market(base: str, quote: str, *, interval: str = "1h", candles: int = 500, seed: int = 7) -> Market:
    """A market of simulated candles; the first opens on 2019-01-01."""
    return Market(base, quote, interval, list(_klines(base + quote, interval, candles, seed)))


@lru_cache
def _klines(symbol: str, interval: str, candles: int, seed: int) -> tuple[list[Any], ...]:
    made = simulate(symbol=symbol, interval=interval, candles=candles, signal=0.2, seed=seed, start="2019-01-01")
    length = parse_interval(interval).seconds * 1000
    opens = made.frame.index.as_unit("ms").astype("int64")
    values = made.frame[["open", "high", "low", "close", "volume"]].to_numpy()
    rows = []
    for open_ms, (o, h, low, c, v) in zip(opens, values.tolist(), strict=True):
        prices = [f"{value:.8f}" for value in (o, h, low, c, v)]
        rows.append([int(open_ms), *prices, int(open_ms) + length - 1, f"{v * c:.8f}", 100, "0", "0", "0"])
    return tuple(rows)


def make_standin(*, interval: str = "1h", candles: int = 500, open_for: float = 0.5) -> StandIn:
    """BTC/USDT, ETH/USDT and ETH/BTC; the clock stands `open_for` of a candle after the last one opened."""
    pairs = (("BTC", "USDT", 7), ("ETH", "USDT", 8), ("ETH", "BTC", 9))
    markets = [make_market(base, quote, interval=interval, candles=candles, seed=seed) for base, quote, seed in pairs]
    newest = markets[0].rows[-1][0]
    return StandIn({(one.id, interval): one for one in markets}, now_ms=newest + int(open_for * markets[0].length_ms))


class _Handler(BaseHTTPRequestHandler):
    standin: StandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        state = self.standin
        state.log.append((parts.path, query))
        if state.captive:
            self._fail(Fault("page"))
        elif state.dialect is not None:
            self._answer(*state.dialect(state, parts.path, query))
        elif parts.path == "/api/v3/time":
            self._answer(200, {"serverTime": state.now_ms})
        elif parts.path == "/api/v3/exchangeInfo":
            self._answer(200, {"timezone": "UTC", "serverTime": state.now_ms, "symbols": self._symbols()})
        elif parts.path == "/api/v3/klines":
            self._klines(query)
        else:
            self._answer(404, {"code": -1, "msg": "no such route"})

    def _klines(self, query: dict[str, str]) -> None:
        state = self.standin
        if len(state.pages) > state.faults_after and state.faults:
            self._fail(state.faults.pop(0))
            return
        if state.hold is not None and len(state.pages) > 2:
            state.asked.set()
            state.hold.wait(30)
        symbol, interval = query.get("symbol", ""), query.get("interval", "")
        if symbol not in {one.id for one in state.markets.values()}:
            self._answer(400, {"code": -1121, "msg": "Invalid symbol."})
        elif interval not in INTERVALS:
            self._answer(400, {"code": -1120, "msg": "Invalid interval."})
        else:
            market = state.markets.get((symbol, interval))
            self._answer(200, [] if market is None else self._chosen(market, query))

    def _chosen(self, market: Market, query: dict[str, str]) -> list[list[Any]]:
        state = self.standin
        limit = min(int(query.get("limit", 500)), MOST_CANDLES)
        known = [state.as_of_now(row) for row in market.rows if row[0] <= state.now_ms]
        if "startTime" not in query:
            return known[-limit:]
        start = int(query["startTime"])
        end = int(query.get("endTime", state.now_ms))
        if state.bounded:
            end = min(end, start + limit * market.length_ms - 1)
        return [row for row in known if start <= row[0] <= end][:limit]

    def _symbols(self) -> list[dict[str, Any]]:
        return [
            {
                "symbol": one.id,
                "status": "TRADING",
                "baseAsset": one.base,
                "baseAssetPrecision": 8,
                "quoteAsset": one.quote,
                "quotePrecision": 8,
                "isSpotTradingAllowed": True,
                "isMarginTradingAllowed": False,
                "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.00000001"}],
                "permissions": ["SPOT"],
            }
            for one in self.standin.markets.values()
        ]

    def _fail(self, fault: Fault) -> None:
        if fault.kind.isdigit():
            headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            self._answer(int(fault.kind), {"code": 0 if fault.kind == "451" else -1003, "msg": "not now"}, headers)
        elif fault.kind == "page":
            self._send(200, b"<html>Sign in to the guest network</html>", {"Content-Type": "text/html"})
        elif fault.kind == "cut":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b'[[1546300800000,"10000.0')
            self._hang_up()
        elif fault.kind == "silence":
            self.connection.settimeout(30)
            # Nothing is sent; the client hangs up when it has waited enough.
            self.rfile.peek(1)
            self.close_connection = True
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def wait_until(holds: Any, timeout_s: float = 30) -> None:
    """Poll until `holds()` is true; fails after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
