"""Column names of rows without a header, derived from the values: exchanges write prices in different orders."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cryptoml.data.reading.column_names import PRICES

# The columns of a Binance kline, and of dumps with four more.
EXCHANGE_DUMP = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades",
    "taker_base_volume", "taker_quote_volume", "ignore", "a", "b", "c", "d",
)  # fmt: skip
# Most sources; Bitfinex, KuCoin and Huobi; Coinbase.
_ORDERS = (PRICES, ("open", "close", "high", "low"), ("low", "high", "open", "close"))
_ROWS = 500
_MIN_SHARE = 0.98
_MIN_TIMES = 0.9
_EPOCH = re.compile(r"\d{9,19}(\.\d+)?([eE]\+?\d+)?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?|(19|20)\d{6}")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")


def guess_names(rows: Sequence[Sequence[str]]) -> list[str] | None:
    """Return a name for each column, or None unless the values allow only one reading.

    The first column is the time, or the symbol and then the time; the next four are prices in one of the usual orders,
    in which high and low enclose open and close.
    """
    rows = rows[:_ROWS]
    width = len(rows[0]) if rows else 0
    if any(len(row) != width for row in rows):
        return None
    names = _time_names(rows)
    prices = len(names)
    if not names or width < prices + 4:
        return None
    numbers = [[_number(cell) for cell in row[prices:]] for row in rows]
    fitting = [order for order in _ORDERS if _share_consistent(numbers, order) >= _MIN_SHARE]
    if not fitting:
        return None
    order = fitting[0]
    if order == PRICES and names == ["timestamp"] and width in (12, 16):
        return list(EXCHANGE_DUMP[:width])
    rest = width - prices - 4
    others = [f"extra{number}" for number in range(1, rest + 1)]
    if rest:
        # Kraken writes the mean price before the volume.
        others[1 if rest > 1 and _is_mean_price(numbers, order) else 0] = "volume"
    return [*names, *order, *others]


def columns_hint(width: int) -> str:
    """Return the hint that names as many columns as the file has."""
    return f"name the columns in their order, such as --columns {_example_names(width)}"


def _example_names(width: int) -> str:
    """Return names for a number of columns in the most common order."""
    usual = ["timestamp", *PRICES, "volume", *(f"extra{number}" for number in range(1, max(width - 5, 1)))]
    return ",".join(usual[: max(width, 5)])


def _time_names(rows: Sequence[Sequence[str]]) -> list[str]:
    def all_match(column: int, pattern: re.Pattern[str]) -> bool:
        if len(rows[0]) <= column:
            return False
        return sum(bool(pattern.fullmatch(row[column])) for row in rows) >= _MIN_TIMES * len(rows)

    symbol = []
    if len(rows[0]) > 1 and not any(char.isdigit() for char in rows[0][0][:1]) and rows[0][0]:
        symbol = ["symbol"]
    first = len(symbol)
    if all_match(first, _EPOCH) and not all_match(first, _DATE):
        return [*symbol, "timestamp"]
    if all_match(first, _DATE):
        return [*symbol, "date", "time"] if all_match(first + 1, _CLOCK) else [*symbol, "timestamp"]
    return []


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _share_consistent(rows: Sequence[Sequence[float]], order: Sequence[str]) -> float:
    """Return the share of rows whose high and low enclose open and close; comparisons with NaN are false."""
    at = [order.index(name) for name in PRICES]
    consistent = 0
    for row in rows:
        opened, high, low, close = (row[place] for place in at)
        tolerance = 1e-9 * abs(high)
        consistent += 0 < low <= min(opened, close) + tolerance and high + tolerance >= max(opened, close)
    return consistent / len(rows)


def _is_mean_price(rows: Sequence[Sequence[float]], order: Sequence[str]) -> bool:
    """Return whether the fifth number is a price within the candle's range, or 0 in a candle without trades."""
    high, low = order.index("high"), order.index("low")
    return all(row[4] == 0 or row[low] * (1 - 1e-6) <= row[4] <= row[high] * (1 + 1e-6) for row in rows)
