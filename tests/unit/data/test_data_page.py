"""Every line of the tables in docs/data.md about what is read has an example here, which is read to the last digit."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from cryptoml.data.candles import SeveralSymbolsError, read_candles
from cryptoml.errors import DataError
from tests.unit.data.reading.test_exports import DOCUMENTS, INVESTING, LATER, LAYOUTS, check, german, lines, market

PAGE = Path(__file__).parents[3] / "docs" / "data.md"
HEADER = "timestamp,open,high,low,close,volume"
# A file name, its content, and options for the reader.
Example = tuple[str, bytes, dict[str, object]]


def table_lines() -> dict[str, str]:
    """Return the first cell and the rest of each line of the tables in the section about files."""
    section = PAGE.read_text(encoding="utf-8").partition("## Files")[2].partition("## Validation")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("|")]
    headings = {"file", "source", "part"}
    return {
        cells[0].strip(): " | ".join(cells[1:]).strip()
        for cells in rows
        if cells[0].strip() not in headings and not set(cells[0]) <= set("-|")
    }


def plain(frame: pd.DataFrame) -> bytes:
    return lines(frame, lambda t, *row: f"{t:%Y-%m-%d %H:%M},{','.join(map(str, row))}", HEADER).encode()


def layout(name: str, file: str = "BTCUSDT_1h.csv") -> Iterator[Example]:
    header, row = LAYOUTS[name]
    yield file, lines(market(), row, header).encode(), {}


def document(name: str) -> Iterator[Example]:
    yield "BTCUSD.json", json.dumps(DOCUMENTS[name](market())).encode(), {}


def layouts(*names: str) -> Callable[[], Iterator[Example]]:
    return lambda: (example for name in names for example in layout(name))


def csv() -> Iterator[Example]:
    data = plain(market())
    for delimiter in (b",", b";", b"|", b"\t"):
        yield "BTCUSDT.csv", data.replace(b",", delimiter), {}
    yield "BTCUSDT.csv", b"Prices of BTC/USDT\n\n" + data, {}
    half = data.splitlines(keepends=True)
    yield "BTCUSDT.csv", b"".join([*half[:20], half[0], *half[20:]]), {}
    for encoding in ("utf-8-sig", "utf-16"):
        yield "BTCUSDT.csv", data.decode().encode(encoding), {}


def latin() -> Iterator[Example]:
    row = lambda t, *values: f"{t:%Y-%m-%d %H:%M};{';'.join(map(str, values))};für"  # noqa: E731
    yield "BTCUSDT.csv", lines(market(), row, "timestamp;open;high;low;close;volume;Währung").encode("latin-1"), {}


def json_files() -> Iterator[Example]:
    for name in DOCUMENTS:
        yield from document(name)
    rows = [json.dumps(one) for one in DOCUMENTS["array of objects"](market())]  # type: ignore[attr-defined]
    yield "BTCUSD.jsonl", "\n".join(rows).encode(), {}


def columnar() -> Iterator[Example]:
    frame = market()
    for one in (frame, frame.reset_index()):
        data = io.BytesIO()
        one.to_parquet(data)
        yield "BTCUSDT.parquet", data.getvalue(), {}
    data = io.BytesIO()
    frame.reset_index().to_feather(data)
    yield "BTCUSDT.feather", data.getvalue(), {}


def excel() -> Iterator[Example]:
    frame = market().reset_index()
    frame["timestamp"] = frame["timestamp"].dt.tz_localize(None)
    for sheets in (("Prices",), ("Prices", "Others")):
        data = io.BytesIO()
        with pd.ExcelWriter(data) as book:
            for number, sheet in enumerate(sheets):
                shown = frame.assign(close=frame["close"] + number, high=frame["high"] + number)
                shown.to_excel(book, sheet_name=sheet, index=False)
        yield "BTCUSDT.xlsx", data.getvalue(), {"sheet": "Prices"} if len(sheets) > 1 else {}


def packed() -> Iterator[Example]:
    data = plain(market())
    yield "BTCUSDT.csv.gz", gzip.compress(data), {}
    yield "BTCUSDT.csv.bz2", bz2.compress(data), {}
    yield "BTCUSDT.csv.xz", lzma.compress(data), {}
    yield "BTCUSDT.csv.zst", pa.compress(data, codec="zstd", asbytes=True), {}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as one:
        one.writestr("BTCUSDT.csv", data)
    yield "BTCUSDT.zip", archive.getvalue(), {}


def freqtrade() -> Iterator[Example]:
    yield from document("freqtrade")
    data = io.BytesIO()
    market().reset_index().rename(columns={"timestamp": "date"}).to_feather(data)
    yield "BTC_USDT-1h.feather", data.getvalue(), {}


def investing() -> Iterator[Example]:
    """English and German; `test_investing_in_its_languages` has all of them."""
    frame = market("D")
    for language in ("en", "de"):
        header, day, number = INVESTING[language]
        row = lambda t, o, h, low, c, v, day=day, number=number: (  # noqa: E731
            f"{t.strftime(day)},{number(c)},{number(o)},{number(h)},{number(low)},{v},1.5%"
        )
        yield "BTC_USD.csv", lines(frame, row, header).encode(), {"expected": frame}


def numbers() -> Iterator[Example]:
    def written(number: Callable[[float], str], volume: Callable[[float], str]) -> Example:
        row = lambda t, o, h, low, c, v: ";".join(  # noqa: E731
            [f"{t:%Y-%m-%d %H:%M}", *(number(one) for one in (o, h, low, c)), volume(v)]
        )
        return "BTCUSDT.csv", lines(market(), row, HEADER.replace(",", ";")).encode(), {}

    yield written(lambda value: f"{value:,.1f}", str)
    yield written(lambda value: german(value).strip('"'), lambda value: str(value).replace(".", ","))
    yield written(lambda value: f"{value:,.1f}".replace(",", " "), str)
    yield written(lambda value: f"{value:,.1f}".replace(",", "'"), str)
    yield written(lambda value: f"${value:,.1f}", lambda value: f"{value / 1000:.6f}K")
    yield written(str, lambda value: f"{value / 1e6:.9f}M")
    yield written(str, lambda value: f"{value / 1e9:.12f}B")


def columns() -> Iterator[Example]:
    frame = market()
    swapped = lambda t, o, h, low, c, v: f"{v},{c},{low},{t:%Y-%m-%d %H:%M},{h},{o}"  # noqa: E731
    yield "BTCUSDT.csv", lines(frame, swapped, "volume,close,low,timestamp,high,open").encode(), {}
    yield from layout("Coinbase")
    unusual = lines(
        frame, lambda t, *row: f"{t:%Y-%m-%d %H:%M},{','.join(map(str, row))}", "Zeit,open,high,low,Kurs,volume"
    )
    yield "BTCUSDT.csv", unusual.encode(), {"columns": {"close": "Kurs", "timestamp": "Zeit"}}


def times() -> Iterator[Example]:
    frame = market()
    forms: list[Callable[[pd.Timestamp], str]] = [
        lambda t: t.isoformat(),
        lambda t: f"{t:%Y-%m-%dT%H:%M:%S}",
        lambda t: f"{t:%Y-%m-%d %I-%p}",
        lambda t: f"{t:%d.%m.%Y %H:%M}",
        lambda t: f"{t:%m/%d/%Y %H:%M}",
        *(lambda t, unit=unit: str(t.value // unit) for unit in (10**9, 10**6, 10**3, 1)),
        lambda t: str(t.value // (10**9 if t.hour % 2 else 10**6)),
    ]
    for form in forms:
        row = lambda t, *values, form=form: f"{form(t)},{','.join(map(str, values))}"  # noqa: E731
        yield "BTCUSDT.csv", lines(frame, row, HEADER).encode(), {}
    yield from layout("MetaTrader 4")


def close_times() -> Iterator[Example]:
    yield from layout("close times only")
    yield from layout("close times, last millisecond")
    frame = market("D")
    row = lambda t, *values: f"{t:%Y-%m-%d} 23:59:59,{','.join(map(str, values))}"  # noqa: E731
    yield "BTCUSDT.csv", lines(frame, row, HEADER).encode(), {"expected": frame}


def volumes() -> Iterator[Example]:
    yield from layout("CryptoDataDownload")
    yield from layout("MetaTrader 5")
    frame = market()
    row = lambda t, o, h, low, c, v: f"{t:%Y-%m-%d %H:%M},{o},{h},{low},{c}"  # noqa: E731
    yield (
        "BTCUSDT.csv",
        lines(frame, row, "timestamp,open,high,low,close").encode(),
        {"expected": frame.assign(volume=0.0)},
    )


def symbols() -> Iterator[Example]:
    row = lambda t, *values: f"{t:%Y-%m-%d %H:%M},{','.join(map(str, values))},ETHUSDT"  # noqa: E731
    for name in ("symbol", "pair", "ticker", "asset", "coin", "name"):
        yield "some.csv", lines(market(), row, f"{HEADER},{name}").encode(), {"symbol_is": "ETHUSDT"}
    yield "BTC-USD_1h.csv", plain(market()), {"symbol_is": "BTCUSD"}
    yield "some.csv", plain(market()), {"symbol": "ETH/USDT", "symbol_is": "ETHUSDT"}


def stacked() -> Iterator[Example]:
    frames = pd.concat({"BTCUSDT": market(), "ETHUSDT": market(level=3000.0)}).reset_index(level=0, names="coin")
    row = lambda t, coin, *values: f"{t:%Y-%m-%d %H:%M},{','.join(map(str, values))},{coin}"  # noqa: E731
    data = lines(frames, row, f"{HEADER},coin").encode()
    yield "all.csv", data, {"symbol": "BTCUSDT", "symbol_is": "BTCUSDT"}
    yield "all.csv", data, {"symbols": ("BTCUSDT", "ETHUSDT")}


def documents(*names: str) -> Callable[[], Iterator[Example]]:
    return lambda: (example for name in names for example in document(name))


def both(*makers: Callable[[], Iterator[Example]]) -> Callable[[], Iterator[Example]]:
    return lambda: (example for make in makers for example in make())


EXAMPLES: dict[str, Callable[[], Iterator[Example]]] = {
    "CSV, TSV": both(csv, latin),
    "JSON": json_files,
    "Parquet, Feather": columnar,
    "Excel (`.xlsx`)": excel,
    "gzip, bzip2, xz, zstd, zip": packed,
    "Binance": layouts("Binance, milliseconds", "Binance, microseconds"),
    "Kraken": both(layouts("Kraken dump", "Kraken with mean price"), documents("Kraken")),
    "Coinbase": both(layouts("Coinbase"), documents("Coinbase")),
    "Bitfinex, KuCoin": both(layouts("Bitfinex", "KuCoin"), documents("KuCoin")),
    "OKX, Bybit, Bitstamp, CryptoCompare, CoinAPI": both(
        layouts("OKX", "Bitstamp", "CoinAPI"), documents("CryptoCompare", "Bitstamp")
    ),
    "CryptoDataDownload": layouts("CryptoDataDownload"),
    "CoinMarketCap": layouts("CoinMarketCap"),
    "Yahoo Finance": both(layouts("Yahoo, old", "Yahoo, three header lines"), documents("Yahoo chart")),
    "investing.com": investing,
    "MetaTrader 4 and 5": layouts("MetaTrader 4", "MetaTrader 5"),
    "TradingView": lambda: layout("TradingView", "BINANCE_BTCUSDT, 60.csv"),
    "freqtrade": freqtrade,
    "numbers": numbers,
    "columns": columns,
    "time": times,
    "close times": close_times,
    "volume": volumes,
    "symbol": symbols,
    "several symbols": stacked,
}


def test_every_line_has_examples_and_every_example_a_line() -> None:
    assert set(table_lines()) == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_a_line_are_read_to_the_last_digit(name: str, tmp_path: Path) -> None:
    found = 0
    for file, data, given in EXAMPLES[name]():
        options = dict(given)
        expected = options.pop("expected", None)
        symbol, several = options.pop("symbol_is", None), options.pop("symbols", None)
        path = tmp_path / file
        path.write_bytes(data)
        if several is not None:
            with pytest.raises(SeveralSymbolsError) as caught:
                read_candles(path, now=LATER, **options)
            assert caught.value.symbols == several
        else:
            candles = read_candles(path, now=LATER, **options)
            if name == "numbers":
                # 48.31K is 48310.000000000004 in floating point.
                candles.frame["volume"] = candles.frame["volume"].round(3)
            check(candles, market() if expected is None else expected)
            assert symbol is None or candles.symbol == symbol
        path.unlink()
        found += 1
    assert found


def test_the_languages_of_the_page_are_those_that_are_tested() -> None:
    named = re.sub(r"\s+", " ", table_lines()["investing.com"]).rstrip(" |").split(", ")
    assert len(named) == len(INVESTING)


def test_numbers_that_can_be_read_in_two_ways_are_refused(tmp_path: Path) -> None:
    row = lambda t, o, h, low, c, v: ",".join(  # noqa: E731
        [f"{t:%Y-%m-%d %H:%M}", *(f'"{one:,.0f}"' for one in (o, h, low, c)), "15"]
    )
    path = tmp_path / "BTCUSDT.csv"
    path.write_text(lines(market().round(0), row, HEADER))
    with pytest.raises(DataError, match="can be a number with decimals"):
        read_candles(path, now=LATER)
