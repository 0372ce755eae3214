"""The names that sources give to the columns of candles, in the usual languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

PRICES = ("open", "high", "low", "close")
TIME_ROLES = ("timestamp", "date", "time")
# Names are compared as `name_key` writes them; the first match is used. The names in other languages are those of
# investing.com and MetaTrader.
NAMES: dict[str, tuple[str, ...]] = {
    "open": (
        "open", "o", "openprice", "priceopen", "openingprice",
        "eroffn", "eroffnung", "apertura", "ouv", "ouverture", "abertura",
        "otwarcie", "откр", "открытие", "acilis", "始値", "시가", "开盘", "开盘价", "oppen", "pembukaan", "mo",
        "opening",
    ),
    "high": (
        "high", "h", "highprice", "pricehigh", "max", "hoch", "maximo", "maxima", "plushaut", "massimo", "hoog", "макс",
        "максимум", "najwyzszy", "yuksek", "高値", "고가", "高", "最高", "最高价", "hogsta", "hog", "tertinggi", "cao",
    ),
    "low": (
        "low", "l", "lowprice", "pricelow", "min", "najnizszy",
        "tief", "minimo", "minima", "plusbas", "laag", "мин", "минимум",
        "dusuk", "安値", "저가", "低", "最低", "最低价", "lagsta", "lag", "terendah", "thap",
    ),
    "close": (
        "close", "c", "closeprice", "priceclose", "closingprice",
        "last", "lastprice", "price", "schluss", "schlusskurs", "zuletzt",
        "ultimo", "cierre", "dernier", "cloture", "chiusura", "fechamento", "laatste", "ostatnio", "zamkniecie", "цена",
        "закрытие", "simdi", "kapanis", "終値", "종가", "收盘", "收盘价", "senaste", "terakhir", "lancuoi",
    ),
    "symbol": (
        "symbol", "pair", "ticker", "market", "instrument", "asset", "coin", "crypto", "cryptocurrency", "token",
        "productid", "instrumentid", "symbolid", "assetid", "currencypair", "code", "name", "slug",
    ),
    "time": (
        "unix", "epoch", "unixtimestamp", "ts", "timestamputc", "datetimeutc", "dateutc", "timeutc", "gmttime",
        "timeperiodstart", "opentime", "opentimestamp", "timeopen", "starttime", "timestart", "timestamp", "date",
        "datetime", "localtime", "timestampms", "candletime", "candlebegintime", "start", "begin", "dtyyyymmdd",
        "datum", "fecha", "data", "дата", "tarih", "日付", "日付け", "날짜", "日期", "时间", "tanggal", "ngay",
        "snappedat", "startat", "openat", "etcutc", "gmt", "utc", "time", "clock", "hour", "uhrzeit", "t",
    ),
    "close_time": ("closetime", "timeclose", "closetimestamp", "endtime", "timeend", "timeperiodend", "end"),
    "volume": ("volumen", "wol", "wolumen", "hac", "hacim", "объем", "出来高", "거래량", "交易量", "成交量", "kl"),
}  # fmt: skip


# Alpha Vantage and others: "1a. open (USD)", "24h High (USD)".
_WITH_CURRENCY = re.compile(
    r"(?:\d+[a-z]?\. |24h )?((?:open|high|low|close|closing price|volume)(?: price)?)(?: ?[(\[](?:[A-Z]{3,5})[)\]])?",
    re.IGNORECASE,
)


@cache
def _letters(text: str) -> str:
    # ı and ł have no decomposition into a letter and a mark.
    plain = unicodedata.normalize("NFKD", text.lower().replace("ı", "i").replace("ł", "l"))
    marks = "".join(char for char in plain if unicodedata.category(char) != "Mn")
    return "".join(char for char in unicodedata.normalize("NFC", marks) if char.isalnum())


def name_key(name: object) -> str:
    """Normalise a column name: lower case, letters (without accents) and digits, without the number of a duplicate."""
    text = re.sub(r"\.\d+$", "", str(name))
    if found := _WITH_CURRENCY.fullmatch(text):
        text = found[1]
    return _letters(text)


@cache
def aliases(role: str) -> tuple[str, ...]:
    """Return the names of a role, as `name_key` writes them."""
    return tuple(name_key(alias) for alias in NAMES[role])


def is_header(cells: Iterable[object]) -> bool:
    """Return whether these names contain one for each of the four prices."""
    keys = {name_key(cell) for cell in cells}
    return all(keys & set(aliases(role)) for role in PRICES)
