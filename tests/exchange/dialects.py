"""The public REST interfaces of other exchanges, as ccxt's clients speak them, over the candles of a stand-in.

Each has its own paths, units of time, order, page size and way to fail, as its documentation and ccxt describe them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.exchange.server import Market, StandIn

Query = Mapping[str, str]
Answer = tuple[int, Any]
HOUR_S = 3600


def known(state: StandIn, market: Market) -> list[list[Any]]:
    """Return the candles that have opened, oldest first; the newest is not finished."""
    return [state.as_of_now(row) for row in market.rows if row[0] <= state.now_ms]


def market_of(state: StandIn, name: str) -> Market | None:
    """Return a market by its name at any of the exchanges."""
    plain = name.upper().replace("-", "").replace("XBT", "BTC")
    return next((one for one in state.markets.values() if one.id == plain), None)


def kraken(state: StandIn, path: str, query: Query) -> Answer:
    """Seconds, oldest first, and always the newest 720 candles; an earlier `since` is ignored."""
    if path == "/0/public/Time":
        return 200, {"error": [], "result": {"unixtime": state.now_ms // 1000}}
    if path == "/0/public/Assets":
        names = {name for one in state.markets.values() for name in (one.base, one.quote)}
        assets = {
            _kraken_name(name): {"aclass": "currency", "altname": name.replace("BTC", "XBT"), "decimals": 10}
            for name in names
        }
        return 200, {"error": [], "result": assets}
    if path == "/0/public/AssetPairs":
        pairs = {
            one.id.replace("BTC", "XBT"): {
                "altname": one.id.replace("BTC", "XBT"), "wsname": f"{one.base}/{one.quote}", "status": "online",
                "base": _kraken_name(one.base), "quote": _kraken_name(one.quote), "pair_decimals": 8,
                "lot_decimals": 8, "leverage_buy": [], "leverage_sell": [], "fees": [[0, 0.26]], "ordermin": "0.1",
            }
            for one in state.markets.values()
        }  # fmt: skip
        return 200, {"error": [], "result": pairs}
    if path != "/0/public/OHLC":
        return 404, {"error": ["EGeneral:Unknown method"]}
    market = market_of(state, query["pair"])
    if market is None:
        return 200, {"error": ["EQuery:Unknown asset pair"]}
    since = int(query.get("since", 0)) * 1000
    rows = [row for row in known(state, market)[-720:] if row[0] > since]
    listed = [[row[0] // 1000, *row[1:5], row[4], row[5], 10] for row in rows]
    return 200, {"error": [], "result": {query["pair"]: listed, "last": listed[-1][0] if listed else 0}}


def _kraken_name(currency: str) -> str:
    return {"BTC": "XXBT", "ETH": "XETH"}.get(currency, currency)


def okx(state: StandIn, path: str, query: Query) -> Answer:
    """Milliseconds, newest first, between `before` and `after`, both excluded; at most 300."""
    if path == "/api/v5/public/time":
        return 200, {"code": "0", "data": [{"ts": str(state.now_ms)}], "msg": ""}
    if path == "/api/v5/public/instruments":
        data = [
            {
                "instType": "SPOT", "instId": f"{one.base}-{one.quote}", "baseCcy": one.base, "quoteCcy": one.quote,
                "tickSz": "0.00000001", "lotSz": "0.00000001", "minSz": "0.00001", "state": "live", "lever": "",
                "ctVal": "", "ctMult": "", "settleCcy": "", "uly": "", "instFamily": "", "expTime": "",
                "listTime": "1548133413000", "optType": "", "stk": "", "ctType": "", "ctValCcy": "", "alias": "",
            }
            for one in state.markets.values()
        ]  # fmt: skip
        return 200, {"code": "0", "data": data, "msg": ""}
    if path not in ("/api/v5/market/candles", "/api/v5/market/history-candles"):
        return 404, {"code": "404", "msg": "no such route"}
    market = market_of(state, query["instId"])
    if market is None:
        return 200, {"code": "51001", "msg": "Instrument ID does not exist", "data": []}
    before, after = int(query.get("before", -1)), int(query.get("after", 10**18))
    rows = [row for row in known(state, market) if before < row[0] < after][-min(int(query.get("limit", 100)), 300) :]
    return 200, {
        "code": "0",
        "msg": "",
        "data": [[str(one) for one in row[:6]] + ["1", "1", "1"] for row in rows[::-1]],
    }


def bybit(state: StandIn, path: str, query: Query) -> Answer:
    """Milliseconds, newest first, `limit` candles from `start` on."""
    if path == "/v5/market/time":
        return 200, {
            "retCode": 0,
            "retMsg": "OK",
            "result": {"timeSecond": str(state.now_ms // 1000)},
            "time": state.now_ms,
        }
    if path == "/v5/market/instruments-info":
        listed = [
            {
                "symbol": one.id, "baseCoin": one.base, "quoteCoin": one.quote, "innovation": "0", "status": "Trading",
                "marginTrading": "none", "priceFilter": {"tickSize": "0.00000001"},
                "lotSizeFilter": {
                    "basePrecision": "0.000001", "quotePrecision": "0.00000001", "minOrderQty": "0.00001",
                    "maxOrderQty": "100", "minOrderAmt": "1", "maxOrderAmt": "1000000",
                },
            }
            for one in state.markets.values()
        ]  # fmt: skip
        return 200, {"retCode": 0, "retMsg": "OK", "result": {"category": "spot", "list": listed}, "time": state.now_ms}
    if path != "/v5/market/kline":
        return 404, {"retCode": 404, "retMsg": "no such route"}
    market = market_of(state, query["symbol"])
    if market is None:
        return 200, {"retCode": 10001, "retMsg": "Not supported symbols", "result": {}}
    limit = min(int(query.get("limit", 200)), 1000)
    rows = known(state, market)
    chosen = [row for row in rows if row[0] >= int(query["start"])][:limit] if "start" in query else rows[-limit:]
    candles = [[str(one) for one in row[:6]] + ["1"] for row in chosen[::-1]]
    return 200, {"retCode": 0, "retMsg": "OK", "result": {"symbol": market.id, "category": "spot", "list": candles}}


def coinbase(state: StandIn, path: str, query: Query) -> Answer:
    """Seconds, newest first, low before high, from `start` to `end`, at most 300."""
    names = sorted({name for one in state.markets.values() for name in (one.base, one.quote)})
    answers: dict[str, Any] = {
        "/v2/time": {"data": {"epoch": state.now_ms // 1000}},
        "/v2/currencies": {"data": [{"id": name, "name": name, "min_size": "0.01"} for name in names]},
        "/v2/currencies/crypto": {"data": [{"code": name, "name": name} for name in names]},
        "/v2/exchange-rates": {"data": {"currency": "USD", "rates": {}}},
    }
    if path in answers:
        return 200, answers[path]
    if path == "/api/v3/brokerage/market/products":
        products = [
            {
                "product_id": f"{one.base}-{one.quote}", "price": "1", "base_increment": "0.00000001",
                "quote_increment": "0.01", "quote_min_size": "1", "quote_max_size": "1000000",
                "base_min_size": "0.00000001", "base_max_size": "3400", "status": "online", "is_disabled": False,
                "trading_disabled": False, "product_type": "SPOT", "base_currency_id": one.base,
                "quote_currency_id": one.quote,
            }
            for one in state.markets.values()
        ]  # fmt: skip
        return 200, {"products": [] if query.get("product_type") == "FUTURE" else products}
    name, _, route = path.removeprefix("/api/v3/brokerage/market/products/").partition("/")
    market = market_of(state, name)
    if route != "candles" or market is None:
        return 404, {"error": "NOT_FOUND", "message": "valid product_id is required"}
    start, end = int(query["start"]) * 1000, int(query["end"]) * 1000
    rows = [row for row in known(state, market) if start <= row[0] <= end][-300:]
    candles = [
        {"start": str(row[0] // 1000), "low": row[3], "high": row[2], "open": row[1], "close": row[4], "volume": row[5]}
        for row in rows[::-1]
    ]
    return 200, {"candles": candles}


def bitstamp(state: StandIn, path: str, query: Query) -> Answer:
    """Seconds, oldest first, from `start` to `end`, at most 1000; without a clock."""
    if path == "/api/v2/markets/":
        return 200, [
            {
                "name": f"{one.base}/{one.quote}", "market_symbol": one.id.lower(), "base_currency": one.base,
                "base_decimals": 8, "counter_currency": one.quote, "counter_decimals": 8, "trading": "Enabled",
                "minimum_order_value": "10", "market_type": "SPOT",
                "description": f"{one.base} / {one.quote}", "instant_and_market_orders": "Enabled",
            }
            for one in state.markets.values()
        ]  # fmt: skip
    market = market_of(state, path.removeprefix("/api/v2/ohlc/").strip("/"))
    if market is None:
        return 404, {"code": "404", "reason": "Not found"}
    start, end = int(query.get("start", 0)) * 1000, int(query.get("end", 10**12)) * 1000
    rows = [row for row in known(state, market) if start <= row[0] <= end]
    rows = rows[: int(query["limit"])] if "start" in query else rows[-int(query["limit"]) :]
    names = ("timestamp", "open", "high", "low", "close", "volume")
    ohlc = [dict(zip(names, (str(row[0] // 1000), *row[1:6]), strict=True)) for row in rows]
    return 200, {"data": {"pair": f"{market.base}/{market.quote}", "ohlc": ohlc}}


DIALECTS: dict[str, Callable[[StandIn, str, Query], Answer]] = {
    "kraken": kraken, "okx": okx, "bybit": bybit, "coinbase": coinbase, "bitstamp": bitstamp,
}  # fmt: skip
# The paths of requests for candles.
CANDLES = ("/0/public/OHLC", "/api/v5/market/", "/v5/market/kline", "/candles", "/api/v2/ohlc/")
# What each answers when asked too often, and during maintenance.
TOO_OFTEN: dict[str, Answer] = {
    "kraken": (200, {"error": ["EAPI:Rate limit exceeded"]}),
    "okx": (429, {"code": "50011", "msg": "Too Many Requests"}),
    "bybit": (200, {"retCode": 10006, "retMsg": "Too many visits!", "result": {}}),
    "coinbase": (429, {"error": "RESOURCE_EXHAUSTED", "message": "too many requests"}),
    "bitstamp": (429, {"code": "400.002", "reason": "Request rate limit exceeded"}),
}
MAINTENANCE: dict[str, Answer] = {
    "kraken": (200, {"error": ["EService:Unavailable"]}),
    "okx": (503, {"code": "50001", "msg": "Service temporarily unavailable"}),
    "bybit": (503, {"retCode": 10016, "retMsg": "Server error."}),
    "coinbase": (503, {"error": "UNAVAILABLE"}),
    "bitstamp": (503, "<html>Maintenance</html>"),
}
