"""Files as exporters and exchanges write them: every candle is read to the last digit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.candles import Candles, read_candles
from cryptoml.errors import DataError

N = 60
HOUR = pd.Timedelta(hours=1)
ISO, H = "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H"
LATER = pd.Timestamp("2026-01-01", tz="UTC")


def market(freq: str = "h", level: float = 60_000.0) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    close = np.round(level * np.exp(np.cumsum(rng.normal(0, 0.004, N))), 1)
    opened = np.concatenate([[level], close[:-1]])
    high = np.round(np.maximum(opened, close) * (1 + rng.uniform(1e-4, 3e-3, N)), 1)
    low = np.round(np.minimum(opened, close) * (1 - rng.uniform(1e-4, 3e-3, N)), 1)
    volume = np.round(rng.uniform(100, 900, N), 3)
    index = pd.date_range("2024-03-01", periods=N, freq=freq, tz="UTC", name="timestamp")
    return pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": volume}, index=index)


def check(candles: Candles, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        candles.frame, expected, check_exact=True, check_freq=False, check_index_type=False, check_names=False
    )


def lines(frame: pd.DataFrame, row: Callable[..., str], header: str = "", *, newest_first: bool = False) -> str:
    rows = [row(*one) for one in frame.itertuples()]
    return "\n".join([*([header] if header else []), *(rows[::-1] if newest_first else rows)]) + "\n"


def english(value: float) -> str:
    return f'"{value:,.1f}"'


def german(value: float) -> str:
    return f'"{value:,.1f}"'.replace(",", "_").replace(".", ",").replace("_", ".")


# investing.com: header, day, number.
INVESTING = {
    "en": ("Date,Price,Open,High,Low,Vol.,Change %", "%m/%d/%Y", english),
    "de": ("Datum,Zuletzt,Eröffn.,Hoch,Tief,Vol.,+/- %", "%d.%m.%Y", german),
    "es": ("Fecha,Último,Apertura,Máximo,Mínimo,Vol.,% var.", "%d.%m.%Y", german),
    "fr": ("Date,Dernier,Ouv.,Plus Haut,Plus Bas,Vol.,Variation %", "%d/%m/%Y", german),
    "it": ("Data,Ultimo,Apertura,Massimo,Minimo,Vol.,Var. %", "%d.%m.%Y", german),
    "pt": ("Data,Último,Abertura,Máxima,Mínima,Vol.,Var%", "%d.%m.%Y", german),
    "nl": ("Datum,Laatste,Open,Hoog,Laag,Vol.,Verschil %", "%d-%m-%Y", german),
    "pl": ("Data,Ostatnio,Otwarcie,Max.,Min.,Wol.,Zmiana%", "%d.%m.%Y", german),
    "ru": ("Дата,Цена,Откр.,Макс.,Мин.,Объём,Изм. %", "%d.%m.%Y", german),
    "tr": ("Tarih,Şimdi,Açılış,Yüksek,Düşük,Hac.,Fark %", "%d.%m.%Y", german),
    "ja": ("日付け,終値,始値,高値,安値,出来高,変化率 %", "%Y年%m月%d日", english),
    "ko": ("날짜,종가,시가,고가,저가,거래량,변동 %", "%Y- %m- %d", english),
    "zh": ("日期,收盘,开盘,高,低,交易量,涨跌幅", "%Y-%m-%d", english),
    "sv": ("Datum,Senaste,Öppen,Högsta,Lägsta,Vol.,+/- %", "%Y-%m-%d", english),
    "id": ("Tanggal,Terakhir,Pembukaan,Tertinggi,Terendah,Vol.,Perubahan%", "%d/%m/%Y", german),
    "vi": ("Ngày,Lần cuối,Mở,Cao,Thấp,KL,% Thay đổi", "%d/%m/%Y", german),
}


@pytest.mark.parametrize("language", INVESTING)
def test_investing_in_its_languages(language: str, tmp_path: Path):
    header, day, number = INVESTING[language]
    frame = market("D")
    frame["volume"] = np.round(frame["volume"], 2) * 1000

    def row(time, opened, high, low, close, volume):
        thousands = f"{volume / 1000:.2f}K"
        if number is german:
            thousands = thousands.replace(".", ",")
        return ",".join(
            [f'"{time:{day}}"', *(number(one) for one in (close, opened, high, low)), f'"{thousands}"', '"1.0%"']
        )

    file = tmp_path / "BTC_USD.csv"
    file.write_bytes(b"\xef\xbb\xbf" + lines(frame, row, header, newest_first=True).encode())
    check(read_candles(file, now=LATER), frame)


def binance(time, opened, high, low, close, volume, *, unit: int = 1_000_000) -> list[object]:
    at = time.value // unit
    step = 3600 * 10**9 // unit
    return [at, opened, high, low, close, volume, at + step - 1, round(volume * close, 4), 12, 1.5, 2.5, 0]


LAYOUTS: dict[str, tuple[str, Callable[..., str]]] = {
    "Binance, milliseconds": ("", lambda *row: ",".join(map(str, binance(*row)))),
    "Binance, microseconds": ("", lambda *row: ",".join(map(str, binance(*row, unit=1000)))),
    "Kraken dump": ("", lambda t, o, h, low, c, v: f"{t.value // 10**9},{o},{h},{low},{c},{v},81"),
    "Kraken with mean price": (
        "", lambda t, o, h, low, c, v: f"{t.value // 10**9},{o},{h},{low},{c},{(h + low) / 2:.2f},{v},81"
    ),
    "Coinbase": ("", lambda t, o, h, low, c, v: f"{t.value // 10**9},{low},{h},{o},{c},{v}"),
    "Bitfinex": ("", lambda t, o, h, low, c, v: f"{t.value // 10**6},{o},{c},{h},{low},{v}"),
    "KuCoin": ("", lambda t, o, h, low, c, v: f"{t.value // 10**9},{o},{c},{h},{low},{v},{v * c:.2f}"),
    "OKX": ("", lambda t, o, h, low, c, v: f"{t.value // 10**6},{o},{h},{low},{c},{v},{v},{v * c:.2f},1"),
    "symbol first": ("", lambda t, o, h, low, c, v: f"BTCUSDT,{t.value // 10**6},{o},{h},{low},{c},{v}"),
    "MetaTrader 4": ("", lambda t, o, h, low, c, v: f"{t:%Y.%m.%d},{t:%H:%M},{o},{h},{low},{c},{v}"),
    "MetaTrader 5": (
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
        lambda t, o, h, low, c, v: f"{t:%Y.%m.%d}\t{t:%H:%M:%S}\t{o}\t{h}\t{low}\t{c}\t{v}\t0\t1700",
    ),
    "TradingView": (
        "time,open,high,low,close,Volume",
        lambda t, o, h, low, c, v: f"{t.tz_convert('Asia/Tokyo').isoformat()},{o},{h},{low},{c},{v}",
    ),
    "CoinAPI": (
        "time_period_start,time_period_end,time_open,time_close,price_open,price_high,price_low,price_close,"
        "volume_traded,trades_count",
        lambda t, o, h, low, c, v: f"{t:{ISO}}.0000000Z,{t + HOUR:{ISO}}.0000000Z,"
        f"{t:{H}}:00:08.4165870Z,{t:{H}}:59:58.6068221Z,{o},{h},{low},{c},{v},9",
    ),
    "Bitstamp": (
        "timestamp,open,high,low,close,volume", lambda t, o, h, low, c, v: f"{t.value // 10**9},{o},{h},{low},{c},{v}"
    ),
    "CryptoDataDownload": (
        "https://www.cryptodatadownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USDT",
        lambda t, o, h, low, c, v: f"{t.value // 10**6},{t:%Y-%m-%d %H:%M},BTC/USDT,{o},{h},{low},{c},{v},{v * c:.2f}",
    ),
    "CoinMarketCap": (
        "timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp",
        lambda t, o, h, low, c, v: f'"{t:{ISO}}.000Z";"{t:{H}}:59:59.999Z";"{t:{H}}:10:00.000Z";'
        f'"{t:{H}}:20:00.000Z";"2781";{o};{h};{low};{c};{v};1e12;"{t:{H}}:59:59.999Z"',
    ),
    "Yahoo, old": (
        "Date,Open,High,Low,Close,Adj Close,Volume",
        lambda t, o, h, low, c, v: f"{t:%Y-%m-%d %H:%M:%S}+00:00,{o},{h},{low},{c},{c},{v}",
    ),
    "Yahoo, three header lines": (
        "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDatetime,,,,,",
        lambda t, o, h, low, c, v: f"{t:%Y-%m-%d %H:%M:%S}+00:00,{c},{h},{low},{o},{v}",
    ),
    "close times only": (
        "close_time,open,high,low,close,volume",
        lambda t, o, h, low, c, v: f"{t + HOUR:%Y-%m-%d %H:%M:%S},{o},{h},{low},{c},{v}",
    ),
    "close times, last millisecond": (
        "timestamp,open,high,low,close,volume",
        lambda t, o, h, low, c, v: f"{t.value // 10**6 + 3_599_999},{o},{h},{low},{c},{v}",
    ),
    "dollars": (
        "Date,Open,High,Low,Close,Volume",
        lambda t, o, h, low, c, v: f'{t:%Y-%m-%d %H:%M},"${o:,.1f}","${h:,.1f}","${low:,.1f}","${c:,.1f}","{v:,.3f}"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
def test_candles_of_an_exporter(name: str, newest_first: bool, tmp_path: Path):
    header, row = LAYOUTS[name]
    frame = market()
    file = tmp_path / "BTCUSDT_1h.csv"
    file.write_text(lines(frame, row, header, newest_first=newest_first))
    candles = read_candles(file, now=LATER)
    check(candles, frame)
    assert candles.interval.label == "1h"


def test_derived_columns_are_reported(tmp_path: Path):
    file = tmp_path / "XBTUSD_60.csv"
    file.write_text(lines(market(), LAYOUTS["Coinbase"][1]))
    candles = read_candles(file, now=LATER)
    assert candles.symbol == "XBTUSD"
    kinds = [finding.kind for finding in candles.report.findings]
    assert "no header: the columns are read as timestamp, low, high, open, close, volume" in kinds


def test_columns_that_are_not_certain_are_asked_for_in_the_width_of_the_file(tmp_path: Path):
    frame = market()
    file = tmp_path / "BTCUSDT.csv"
    file.write_text(lines(frame, lambda t, o, h, low, c, v: f"{t.value // 10**9},{c},{low},{o},{h},{v},5,6"))
    with pytest.raises(DataError) as caught:
        read_candles(file, now=LATER)
    hint = caught.value.hint
    assert "--columns timestamp,open,high,low,close,volume,extra1,extra2" in hint
    right = ["timestamp", "close", "low", "open", "high", "volume", "a", "b"]
    check(read_candles(file, columns=right, now=LATER), frame)
    with pytest.raises(DataError, match="seem to be in another order"):
        read_candles(file, columns=hint.split("--columns ")[1].split(","), now=LATER)


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    return [
        {"time": t.value // 10**9, "high": h, "low": low, "open": o, "volumefrom": v, "volumeto": v * c, "close": c}
        for t, o, h, low, c, v in frame.itertuples()
    ]


def columns_of(frame: pd.DataFrame) -> dict[str, list[object]]:
    return {"t": [t.value // 10**9 for t in frame.index], **{name[0]: list(frame[name]) for name in frame}}


DOCUMENTS: dict[str, Callable[[pd.DataFrame], object]] = {
    "array of objects": records,
    "CryptoCompare": lambda f: {"Response": "Success", "Data": {"TimeFrom": 1, "Data": records(f)}},
    "Bitstamp": lambda f: {"data": {"pair": "BTC/USD", "ohlc": records(f)}},
    "columns": columns_of,
    "Kraken": lambda f: {
        "error": [],
        "result": {
            "XXBTZUSD": [
                [t.value // 10**9, str(o), str(h), str(low), str(c), str(round((h + low) / 2, 2)), str(v), 7]
                for t, o, h, low, c, v in f.itertuples()
            ],
            "last": 1,
        },
    },
    "Coinbase": lambda f: [[t.value // 10**9, low, h, o, c, v] for t, o, h, low, c, v in f.itertuples()][::-1],
    "KuCoin": lambda f: {
        "code": "200000",
        "data": [
            [str(t.value // 10**9), str(o), str(c), str(h), str(low), str(v), "1"]
            for t, o, h, low, c, v in f.itertuples()
        ],
    },
    "freqtrade": lambda f: [[t.value // 10**6, o, h, low, c, v] for t, o, h, low, c, v in f.itertuples()],
    "Yahoo chart": lambda f: {
        "chart": {
            "result": [
                {
                    "meta": {"symbol": "BTC-USD"},
                    "timestamp": [t.value // 10**9 for t in f.index],
                    "indicators": {"quote": [{name: list(f[name]) for name in f}]},
                }
            ]
        }
    },
    "pandas, columns": lambda f: json.loads(f.to_json(orient="columns", date_unit="ms", double_precision=15)),
    "pandas, index": lambda f: json.loads(f.to_json(orient="index", date_unit="ms", double_precision=15)),
    "pandas, split": lambda f: json.loads(f.to_json(orient="split", date_unit="ms", double_precision=15)),
    "pandas, table": lambda f: json.loads(f.to_json(orient="table", double_precision=15)),
    "pandas, records": lambda f: json.loads(
        f.reset_index().to_json(orient="records", date_unit="ms", double_precision=15)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_json_documents(name: str, tmp_path: Path):
    frame = market()
    file = tmp_path / "BTCUSD.json"
    file.write_text(json.dumps(DOCUMENTS[name](frame)))
    check(read_candles(file, now=LATER), frame)


def test_json_lines(tmp_path: Path):
    frame = market()
    file = tmp_path / "BTCUSD.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in records(frame)))
    check(read_candles(file, now=LATER), frame)


@pytest.mark.parametrize(
    ("document", "fact"),
    [
        ({"prices": [[1, 2.0], [2, 3.0]], "market_caps": []}, "contains prices, but no open, high, low and close"),
        ({"a": 1}, "contains no candles"),
        ({"BTC": records(market()), "ETH": records(market())}, "contains 2 lists of candles: BTC, ETH"),
        ([[1.7e9, 1, 2, 3, 4, 5], [1.7e9, 1, 2, 3]], "no candles"),
    ],
)
def test_other_json_is_refused(document: object, fact: str, tmp_path: Path):
    file = tmp_path / "x.json"
    file.write_text(json.dumps(document))
    with pytest.raises(DataError, match=fact):
        read_candles(file, now=LATER)


@pytest.mark.parametrize("write", ["to_csv", "to_parquet", "to_feather"])
@pytest.mark.parametrize("with_index", [True, False])
def test_files_of_pandas(write: str, with_index: bool, tmp_path: Path):
    frame = market()
    shown = frame if with_index and write != "to_feather" else frame.reset_index()
    file = tmp_path / f"BTCUSDT.{write[3:]}"
    getattr(shown, write)(file)
    check(read_candles(file, now=LATER), frame)
