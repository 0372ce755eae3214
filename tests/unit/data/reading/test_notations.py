"""Notations of numbers, names of columns and encodings that are rare: read to the last digit, or refused in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.candles import Candles, read_candles
from cryptoml.errors import DataError
from tests.unit.data.reading.test_exports import LATER, check, german, market

HEADER = "Date,Open,High,Low,Close,Volume"


def table(
    frame: pd.DataFrame,
    price: Callable[[float], str] = str,
    volume: Callable[[float], str] = str,
    *,
    header: str = HEADER,
    delimiter: str = ",",
) -> str:
    def cell(text: str) -> str:
        return f'"{text}"' if delimiter in text and not text.startswith('"') else text

    rows = [
        [f"{t:%Y-%m-%d %H:%M}", *(cell(price(one)) for one in (o, h, low, c)), cell(volume(v))]
        for t, o, h, low, c, v in frame.itertuples()
    ]
    return "\n".join([header.replace(",", delimiter), *(delimiter.join(row) for row in rows)]) + "\n"


def read(folder: Path, content: str | bytes) -> Candles:
    file = folder / "BTCUSDT.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_candles(file, now=LATER)


def near_thousand() -> pd.DataFrame:
    """Return prices without decimals on both sides of 1,000."""
    frame = market(level=1000.0)
    opened, close = frame["open"].round(), frame["close"].round()
    high, low = np.maximum(opened, close) + 3, np.minimum(opened, close) - 3
    return frame.assign(open=opened, close=close, high=high, low=low)


def english(value: float) -> str:
    return f"{value:,.1f}"


def with_points(value: float) -> str:
    return f"{value:,.0f}".replace(",", ".")


def test_the_prices_decide_how_an_ambiguous_volume_is_read(tmp_path: Path):
    frame = market()
    frame["volume"] = (frame["volume"] * 1000).round()
    check(read(tmp_path, table(frame, english, lambda v: f"{v:,.0f}")), frame)
    check(read(tmp_path, table(frame, str, lambda v: f"{v:,.0f}")), frame)
    check(read(tmp_path, table(frame, german, with_points)), frame)
    frame["volume"] /= 1000
    check(read(tmp_path, table(frame, german, lambda v: f"{v:.3f}".replace(".", ","), delimiter=";")), frame)
    check(read(tmp_path, table(frame, english, lambda v: f"{v:.3f}")), frame)


def test_the_volume_decides_how_ambiguous_prices_are_read(tmp_path: Path):
    frame = near_thousand()
    frame = frame.assign(**{name: frame[name] + 500 for name in ("open", "high", "low", "close")})
    check(read(tmp_path, table(frame, with_points, lambda v: f"{v:.3f}0".replace(".", ","), delimiter=";")), frame)


@pytest.mark.parametrize("price", [with_points, lambda value: f"{value:,.0f}"], ids=["points", "commas"])
def test_thousands_are_recognised_beside_numbers_below_them(price: Callable[[float], str], tmp_path: Path):
    frame = near_thousand()
    check(read(tmp_path, table(frame, price)), frame)


def test_three_decimals_are_no_thousands(tmp_path: Path):
    frame = market(level=1.0)
    steps = frame.assign(open=1.5, close=1.625, high=1.75, low=1.125)
    check(read(tmp_path, table(steps, lambda value: f"{value:.3f}")), steps)


@pytest.mark.parametrize(
    ("price", "volume"),
    [
        (lambda value: f"US${value:,.1f}", str),
        (lambda value: f"{value:,.1f} USD", lambda value: f"{value} DOGE"),
        (str, lambda value: f"{value} BTC"),
        (lambda value: "R$ " + german(value).strip('"'), str),
    ],
)
def test_units_beside_numbers(price: Callable[[float], str], volume: Callable[[float], str], tmp_path: Path):
    frame = market()
    check(read(tmp_path, table(frame, price, volume)), frame)


@pytest.mark.parametrize("null", ["#N/A", "n/a", "--", "\N{EM DASH}", "\\N", "<NA>", "NaN", "", "-"])
def test_missing_values(null: str, tmp_path: Path):
    frame = market()
    rows = table(frame).splitlines()
    rows[7] = rows[7].rsplit(",", 1)[0] + "," + null
    check(read(tmp_path, "\n".join(rows)), frame.drop(frame.index[6]))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_with_and_without_a_byte_order_mark(encoding: str, tmp_path: Path):
    frame = market()
    check(read(tmp_path, table(frame, english).encode(encoding)), frame)


@pytest.mark.parametrize(
    "header",
    [
        "timestamp,open (USD),high (USD),low (USD),close (USD),volume",
        "Date,24h Open (USD),24h High (USD),24h Low (USD),Closing Price (USD),Volume",
        "Date,1. open,2. high,3. low,4. close,5. volume",
        "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen",
        "start_at,open,high,low,close,volume",
        "Etc/UTC,Open,High,Low,Close,Volume ",
        "Date,Open*,High,Low,Close**,Volume",
    ],
)
def test_names_of_columns(header: str, tmp_path: Path):
    frame = market()
    check(read(tmp_path, table(frame, header=header)), frame)


def test_two_currencies_are_not_mixed(tmp_path: Path):
    rows = [f"{t:%Y-%m-%d %H:%M},{o},{h},{low},{c},{o / 7},{h / 7},{low / 7},{c / 7}"
            for t, o, h, low, c, _ in market().itertuples()]  # fmt: skip
    names = [f"{name} ({unit})" for unit in ("CNY", "USD") for name in ("open", "high", "low", "close")]
    with pytest.raises(DataError, match=r"open \(CNY\) and open \(USD\) have the same name"):
        read(tmp_path, "\n".join([",".join(["timestamp", *names]), *rows]))


@pytest.mark.parametrize(
    ("header", "fact"),
    [
        ("snapped_at,price,market_cap,total_volume", "contains prices, but no open, high, low and close"),
        ("", "not candles: 4 columns"),
        ("Currency,Date,a,b,c,d,e", "not candles: no columns for open, high, low and close"),
    ],
)
def test_other_tables_are_refused_without_a_hint_that_cannot_work(header: str, fact: str, tmp_path: Path):
    width = header.count(",") + 1 if header else 4
    rows = [
        ",".join([f"{t:%Y-%m-%d}", *(["1.5"] * (width - 1))])
        if width < 7
        else ",".join(["BTC", f"{t:%Y-%m-%d}", *(["1.5"] * (width - 2))])
        for t in market("D").index
    ]
    with pytest.raises(DataError, match=fact) as caught:
        read(tmp_path, "\n".join([*([header] if header else []), *rows]))
    assert width >= 5 or "--columns" not in caught.value.hint
