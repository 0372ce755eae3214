"""File formats: dates, epochs, volumes, columns and containers are read correctly or rejected with a message."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptoml.data.candles import read_candles, write_candles
from cryptoml.data.symbols import normalize_symbol, symbol_from_file_name
from cryptoml.errors import DataError

HEADER = "timestamp,open,high,low,close,volume"
NAMES = ["timestamp", "open", "high", "low", "close", "volume"]


def market(start: str = "2021-03-01", rows: int = 60, freq: str = "h") -> pd.DataFrame:
    rng = np.random.default_rng(3)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows))), 2)
    opens = np.r_[100.0, close[:-1]]
    high, low = np.round(np.maximum(opens, close) + 0.5, 2), np.round(np.minimum(opens, close) - 0.5, 2)
    index = pd.date_range(start, periods=rows, freq=freq, tz="UTC", name="timestamp")
    volume = np.round(rng.uniform(5, 20, rows), 3)
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": volume}, index=index)


def text_of(frame: pd.DataFrame, times: list[object], header: str = HEADER) -> str:
    rows = zip(times, frame.to_numpy(), strict=True)
    return "\n".join([header, *(f"{time},{','.join(map(str, row))}" for time, row in rows)]) + "\n"


def iso(frame: pd.DataFrame) -> list[object]:
    return list(frame.index.strftime("%Y-%m-%dT%H:%M:%SZ"))


def seconds(frame: pd.DataFrame) -> list[int]:
    return [int(stamp.timestamp()) for stamp in frame.index]


@pytest.fixture
def read(tmp_path):
    """Write text or bytes to a file and read its candles."""

    def reader(content, name="x.csv", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_candles(path, **options)

    return reader


def check(candles, expected: pd.DataFrame) -> None:
    assert candles.frame.index.equals(expected.index.as_unit("ns"))
    np.testing.assert_array_equal(candles.frame.to_numpy(), expected[NAMES[1:]].to_numpy())


def kinds(candles) -> dict[str, int]:
    return {one.kind: one.count for one in candles.report.findings}


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d %I:%M %p", "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I-%p", "%m/%d/%Y %I:%M %p", "%d.%m.%Y %H:%M:%S.000",
        "%d.%m.%Y %H:%M:%S.000 GMT+0000", "%Y-%m-%d %H:%M:%S UTC", "%Y/%m/%d %H:%M", "%Y%m%d %H%M%S", "%Y%m%d %H%M",
        "%d-%b-%y %H:%M", "%d-%m-%y %H:%M:%S", "%Y-%m-%dT%H:%M:%S.000Z", "%Y-%m-%d %H:%M:%S+0000",
    ],
)  # fmt: skip
def test_dates_of_every_format_are_read(read, form):
    frame = market()
    check(read(text_of(frame, list(frame.index.strftime(form)))), frame)


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d %H:%M:%S{}:30", "%Y-%m-%dT%H:%M{}30", "%Y/%m/%d %H:%M {}:30", "%d.%m.%Y %H:%M:%S.000 GMT{}30"],
)
@pytest.mark.parametrize("offset", ["+05", "-03"])
def test_offsets_of_every_format_are_read(read, form, offset):
    frame = market("2021-03-15")
    local = frame.index.tz_convert(f"{offset}:30").strftime(form.format(offset))
    check(read(text_of(frame, list(local))), frame)


@pytest.mark.parametrize(
    "date", ["2021-02-29 10:00", "2021-13-01 10:00", "2021-04-31", "29/02/2021 10:00", "2021-03-01 24:00"]
)
def test_an_invalid_day_or_hour_is_rejected(read, date):
    frame = market()
    times = iso(frame)
    times[7] = date
    with pytest.raises(DataError, match=f"1 x not a time: line 9: '{date}'"):
        read(text_of(frame, times))


def test_digits_without_leading_zeros_and_midnights_without_a_time_are_read(read):
    frame = market("2021-03-11")
    check(read(text_of(frame, [f"{t.day}/{t.month}/{t.year} {t.hour}:00" for t in frame.index])), frame)
    cut = [text.removesuffix(" 00:00:00") for text in frame.index.strftime("%d-%m-%Y %H:%M:%S")]
    check(read(text_of(frame, cut)), frame)


@pytest.mark.parametrize("form", ["%d-%m-%y %H:%M", "%m-%d-%y %H:%M", "%y-%m-%d %H:%M"])
@pytest.mark.parametrize("days", [3, 12, 200])
def test_regular_steps_determine_the_order_of_day_month_and_year(read, form, days):
    frame = market("2021-06-01", days * 24)
    check(read(text_of(frame, list(frame.index.strftime(form)))), frame)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("%d-%m-%y %H:%M", r"day first or month first or year first \(06-12-21 00:00\)"),
        ("%d-%m-%Y %H:%M", r"day first or month first \(06-12-2021 00:00\)"),
        ("%y-%m-%d %H:%M", r"day first or year first \(21-12-06 00:00\)"),
    ],
)
def test_a_single_day_is_ambiguous(read, form, words):
    frame = market("2021-12-06", 24)
    with pytest.raises(DataError, match=words):
        read(text_of(frame, list(frame.index.strftime(form))))


def test_even_a_rounded_epoch_determines_the_order(read):
    frame = market("2021-12-06", 24)
    lines = [f"{t.timestamp() * 1000:.5E},{t:%d-%m-%y},{t:%H:%M:%S}" for t in frame.index]
    check(read(text_of(frame, lines, "unix,date,time,open,high,low,close,volume")), frame)
    lines = [f"{t.timestamp() * 1000:.5E},{t:%y-%m-%d},{t:%H:%M:%S}" for t in frame.index]
    check(read(text_of(frame, lines, "unix,date,time,open,high,low,close,volume")), frame)


def test_both_orders_in_one_file_are_rejected(read):
    frame = market("2021-03-15", 20)
    mixed = [f"{t:%d/%m/%Y %H:%M}" if at % 2 else f"{t:%m/%d/%Y %H:%M}" for at, t in enumerate(frame.index)]
    with pytest.raises(DataError, match="some dates are day first, others month first"):
        read(text_of(frame, mixed))


@pytest.mark.parametrize(("form", "header"), [("%Y%m%d,%H%M%S", "date,time"), ("%Y%m%d,%H:%M", "<DTYYYYMMDD>,<TIME>")])
def test_date_and_time_of_day_in_two_columns_are_combined(read, form, header):
    frame = market()
    check(read(text_of(frame, list(frame.index.strftime(form)), f"{header},open,high,low,close,volume")), frame)


@pytest.mark.parametrize("zone", ["Europe/London", "US/Eastern", "Asia/Tokyo"])
def test_an_epoch_is_preferred_to_a_local_date_under_any_column_name(read, zone):
    frame = market("2021-06-01", 120)
    times = [f"{int(t.timestamp())},{t.tz_convert(zone):%Y-%m-%d %H:%M:%S}" for t in frame.index]
    candles = read(text_of(frame, times, "timestamp,date,open,high,low,close,volume"))
    check(candles, frame)
    assert kinds(candles) == {"date disagrees with the epoch, epoch used": 120}


def test_a_date_without_a_time_of_day_does_not_contradict_an_epoch(read):
    frame = market()
    times = [f"{int(t.timestamp())},{t:%Y-%m-%d}" for t in frame.index]
    candles = read(text_of(frame, times, "unix,date,open,high,low,close,volume"))
    check(candles, frame)
    assert kinds(candles) == {}


@pytest.mark.parametrize("factor", [1, 1000])
def test_a_rounded_epoch_named_timestamp_is_replaced_by_the_date(read, factor):
    frame = market("2021-12-01", 120)
    times = [f"{t.timestamp() * factor:.5E},{t:%Y-%m-%d %H:%M:%S}" for t in frame.index]
    candles = read(text_of(frame, times, "timestamp,date,open,high,low,close,volume"))
    check(candles, frame)
    assert kinds(candles)["epoch rounded by a spreadsheet, date used"] > 100


def test_rounded_epochs_without_a_date_are_rejected(read):
    frame = market("2021-12-01", 120)
    times = [f"{t.timestamp() * 1000:.5E}" for t in frame.index]
    with pytest.raises(DataError, match="a spreadsheet rounded the epochs"):
        read(text_of(frame, times, "unix,open,high,low,close,volume"))


@pytest.mark.parametrize("times", [list(range(60)), [44197 + at / 24 for at in range(60)]])
def test_numbers_that_are_not_times_are_rejected(read, times):
    with pytest.raises(DataError, match="column timestamp: contains no valid times"):
        read(text_of(market(), times))


@pytest.mark.parametrize(
    ("base", "quote", "noted"),
    [
        ("volume", "quote_volume", False), ("base_volume", "volume", True), ("quote_volume", "volume", True),
        ("Volume USDT", "Volume BTC", True), ("Volume_(BTC)", "Volume_(Currency)", False),
        ("volumefrom", "volumeto", False), ("amount", "vol", False), ("Volume", "Quote asset volume", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("base_first", [True, False])
def test_the_base_volume_times_the_price_is_the_quote_volume(read, base, quote, noted, base_first):
    frame = market()
    volume, worth = frame["volume"], np.round(frame["volume"] * frame["close"], 2)
    sides = {"a": volume, "b": worth} if base_first else {"a": worth, "b": volume}
    names = f"{base},{quote}" if base_first else f"{quote},{base}"
    shown = frame.drop(columns="volume").assign(**sides)
    candles = read(text_of(shown, iso(frame), f"Date,Open,High,Low,Close,{names}"))
    check(candles, frame)
    if noted:
        assert kinds(candles) == {f"base volume read from column {base}: multiplied by the price it equals {quote}": 60}


def test_at_a_price_of_one_the_base_volume_is_chosen_by_name(read):
    frame = market()
    frame[["open", "high", "low", "close"]] /= 100
    shown = frame.drop(columns="volume").assign(a=frame["volume"] * frame["close"], b=frame["volume"])
    check(
        read(text_of(shown, iso(frame), "date,open,high,low,close,Volume USDT,Volume DAI")),
        frame,
    )


def test_a_volume_column_of_nulls_is_ignored(read):
    frame = market()
    text = text_of(frame.assign(volume="NULL"), iso(frame))
    candles = read(text)
    check(candles, frame.assign(volume=0.0))
    assert kinds(candles) == {"no volume column, 0 used": 60}


def test_columns_named_by_the_caller_replace_the_header(read):
    frame = market()
    check(read(text_of(frame, iso(frame), "A,B,C,D,E,F"), columns=NAMES), frame)
    check(read(text_of(frame, iso(frame), "timestamp,close,high,low,open,volume"), columns=NAMES), frame)
    roles = {"timestamp": "when", "close": "C", "open": "O", "high": "H", "low": "L", "volume": "size"}
    shown = text_of(frame, iso(frame), "when,O,H,L,C,size")
    check(read(shown, columns=roles), frame)
    with pytest.raises(DataError, match=r"has no column 'nope'.*it has when, O"):
        read(shown, columns={"close": "nope"})
    with pytest.raises(DataError, match="price is not a column role"):
        read(shown, columns={"price": "C"})
    with pytest.raises(DataError, match="5 column names are given, but the file has 6"):
        read(shown, columns=NAMES[:5])


@pytest.mark.parametrize("name", ["Close", "close"])
def test_columns_of_the_same_name_that_differ_must_be_named(read, name):
    frame = market()
    text = text_of(frame.assign(other=frame["close"] + 0.01), iso(frame), f"{HEADER},{name}")
    with pytest.raises(
        DataError, match=r"columns close and (Close|close\.7) have the same name but different values.*--columns"
    ):
        read(text)
    check(read(text, columns=[*NAMES, "other"]), frame)
    check(read(text, columns={"close": "close"}), frame)
    check(read(text_of(frame.assign(other=frame["close"]), iso(frame), f"{HEADER},{name}")), frame)


def test_a_time_column_in_utc_is_preferred_to_a_local_one(read):
    frame = market()
    times = [f"{t.tz_convert('Asia/Tokyo'):%Y-%m-%d %H:%M},{t:%Y-%m-%d %H:%M}" for t in frame.index]
    for local, utc in (("date", "date_utc"), ("Local time", "Gmt time"), ("timestamp", "timestamp (UTC)")):
        check(read(text_of(frame, times, f"{local},{utc},open,high,low,close,volume")), frame)


def test_an_unnamed_index_is_the_time_or_a_row_number(read):
    frame = market()
    check(read(text_of(frame, iso(frame), ",open,high,low,close,volume")), frame)
    counted = [f"{at},{time}" for at, time in enumerate(iso(frame))]
    check(read(text_of(frame, counted, ",date,open,high,low,close,volume")), frame)


def test_an_exchange_dump_with_a_header_is_read(read):
    frame = market()
    header = "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,Taker buy base asset volume,Ignore,Ignore"  # fmt: skip  # noqa: E501
    shown = frame.assign(
        ends=[one * 1000 + 3_599_999 for one in seconds(frame)], worth=frame["volume"] * frame["close"], n=5,
        taker=frame["volume"] * 0.6, a=0, b=0,
    )  # fmt: skip
    check(read(text_of(shown, [one * 1000 for one in seconds(frame)], header)), frame)


@pytest.mark.parametrize("width", [12, 16])
def test_an_exchange_dump_without_a_header_is_read(read, width):
    frame = market()
    rest = ",".join(["0"] * (width - 6))
    text = "\n".join(f"{one * 10**6},{','.join(map(str, row))},{rest}" for one, row in zip(seconds(frame), frame.to_numpy(), strict=True))  # fmt: skip  # noqa: E501
    check(read(text), frame)


@pytest.mark.parametrize("title", ["Prices – Übersicht", "a,b", "a,b,c", "title\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_titles_blank_lines_and_encodings_are_accepted(read, title, encoding):
    frame = market()
    check(read(f"{title}\r\n{text_of(frame, iso(frame))}".encode(encoding)), frame)


@pytest.mark.parametrize("sign", [";", "\t", "|"])
def test_other_delimiters_and_quotes_are_accepted(read, sign):
    frame = market()
    text = text_of(frame, iso(frame))
    check(read(text.replace(",", sign)), frame)
    quoted = "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines())
    check(read(quoted), frame)


def test_decimal_commas_with_another_delimiter_are_read(read):
    frame = market()
    text = text_of(frame, iso(frame)).replace(",", ";").replace(".", ",")
    check(read(text), frame)
    check(read(text.partition("\n")[2], columns=NAMES), frame)


def test_the_header_is_found_after_a_long_preamble(read):
    frame = market()
    check(read("\n" * 9 + "# made by; hand, twice\n" * 9 + text_of(frame, iso(frame))), frame)


def test_the_three_header_lines_of_yfinance_are_read(read):
    frame = market(freq="D")
    header = "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDate,,,,,"
    shown = frame[["close", "high", "low", "open", "volume"]]
    check(read(text_of(shown, list(frame.index.strftime("%Y-%m-%d")), header)), frame)
    with pytest.raises(DataError, match="x not a number: line 9: "):
        read(text_of(shown.astype(object).replace({"open": {shown["open"].iloc[5]: "?"}}), iso(frame), header))


def test_the_open_time_is_preferred_to_the_close_time(read):
    frame = market(freq="D")
    times = [f"{t:%Y-%m-%dT%H:%M:%S.000Z},{t:%Y-%m-%d}T23:59:59.999Z" for t in frame.index]
    check(read(text_of(frame, times, "timeOpen,timestamp,open,high,low,close,volume")), frame)
    check(read(text_of(frame, times, "open_time,time,open,high,low,close,volume")), frame)


@pytest.mark.parametrize("name", ["time", "datetime"])
def test_a_date_with_a_time_of_day_is_preferred_to_one_without(read, name):
    frame = market()
    times = [f"{t:%Y-%m-%d},{t:%Y-%m-%d %H:%M:%S}" for t in frame.index]
    check(read(text_of(frame, times, f"date,{name},open,high,low,close,volume")), frame)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04", "compressed file is damaged"),
        (b"\xfd7zXZ\x00\x00", "compressed file is damaged"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS pointer.*git lfs pull"),
        (b"outs:\n- md5: 1\n", "DVC pointer.*cryptoml pull-data"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[[%b,1,1,1,1,1],[1,1,1,1,1,1]]" % (b"9" * 400), "order of the 6 values of a candle is not clear"),
        (b"<!DOCTYPE html>", "is a web page"),
        (bytes(range(256)), "is not a text file"),
    ],
)
def test_unsupported_files_are_rejected_with_their_type(read, content, words):
    with pytest.raises(DataError, match=words):
        read(content)


def test_line_numbers_include_title_and_blank_lines(read):
    frame = market()
    lines = ["My title", *text_of(frame, iso(frame)).splitlines()]
    lines.insert(5, "")
    lines.insert(9, "")
    lines[20] = lines[20].replace(lines[20].split(",")[3], "n.a. yet")
    with pytest.raises(DataError, match=r"column low: 1 x not a number: line 21: 'n\.a\. yet'"):
        read("\n".join(lines))
    text = ["My title", *text_of(frame, iso(frame)).splitlines()]
    ragged = [*text[:3], text[3] + ",9", *text[4:-1], text[-1][:12]]
    with pytest.raises(DataError, match=r"expected 6 columns, 2 x another number: line 4 has 7; line 62 has 1"):
        read("\n".join(ragged))


def test_parquet_and_feather_with_the_time_as_index_are_read(tmp_path):
    frame = market()
    forms = {
        "utc": frame,
        "berlin": frame.tz_convert("Europe/Berlin"),
        "naive": frame.tz_localize(None).rename_axis("Date"),
        "epoch": frame.set_index(pd.Index([one * 1000 for one in seconds(frame)], name="open_time")),
        "text": frame.set_index(pd.Index(iso(frame))),
        "two levels": frame.assign(symbol="BTC/USDT").set_index("symbol", append=True),
        "prices as text": frame.astype(str).reset_index(),
        "milliseconds": frame.set_axis(frame.index.as_unit("ms")),
        "decoy counter": frame.reset_index().set_index(pd.Index(range(3, 63))),
    }
    for name, form in forms.items():
        path = tmp_path / f"{name}.parquet"
        form.to_parquet(path)
        check(read_candles(path), frame)
    frame.reset_index(names="date").to_feather(tmp_path / "x.feather")
    check(read_candles(tmp_path / "x.feather"), frame)
    frame.reset_index().set_axis(list("abcdef"), axis=1).to_parquet(tmp_path / "named.parquet")
    check(read_candles(tmp_path / "named.parquet", columns=NAMES), frame)
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"no column for open, high, low, close, timestamp; it has a"):
        read_candles(tmp_path / "other.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "utc.parquet").read_bytes()[:500])
    with pytest.raises(DataError, match="is damaged"):
        read_candles(tmp_path / "cut.parquet")


def test_json_arrays_of_lists_and_of_objects_are_read(read):
    frame = market()
    rows = [[one * 1000, *map(str, row)] for one, row in zip(seconds(frame), frame.to_numpy(), strict=True)]
    check(read(json.dumps(rows), "x.json"), frame)
    objects = [dict(zip(NAMES, row, strict=True)) for row in rows]
    check(read(gzip.compress(json.dumps(objects).encode()), "x.json.gz"), frame)
    for wrong in ('{"a": 1}', "[1, 2]", "[]", "[[1, 2], [3]]"):
        with pytest.raises(DataError, match=r"\[\[time, open, high, low, close, volume\], \.\.\.\]"):
            read(wrong, "x.json")
    with pytest.raises(DataError, match="is not valid JSON"):
        read(json.dumps(rows)[:-9], "x.json")


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDT_1h.csv.gz", "BTCUSDT"), ("BTC_USDT-1h.json", "BTCUSDT"),
        ("BTC_USDT_USDT-1h-futures.feather", "BTCUSDT"),
        ("raw_offset_NEARUSDT_1h.csv", "NEARUSDT"), ("binance-ethusdt.parquet", "ETHUSDT"), ("BTC-USD.csv", "BTCUSD"),
        ("SIM_1h.csv", "SIM"), ("candles.csv", "UNKNOWN"), ("data_usd_rates.csv", "UNKNOWN"),
        ("Prices 2021.csv", "UNKNOWN"),
    ],
)  # fmt: skip
def test_the_symbol_is_extracted_from_the_file_name(name, symbol):
    assert symbol_from_file_name(name) == symbol


def test_the_symbol_column_is_preferred_to_the_file_name(read):
    frame = market()
    assert normalize_symbol("btc/usdt") == normalize_symbol("BTC-USDT") == "BTCUSDT"
    assert read(text_of(frame, iso(frame)), "ETHUSDT.csv", symbol="btc/usdt").symbol == "BTCUSDT"
    mixed = text_of(frame.assign(s=["BTC/USDT", "BTCUSDT"] * 30), iso(frame), HEADER + ",symbol")
    assert read(mixed, "ETHUSDT.csv").symbol == "BTCUSDT"
    with pytest.raises(DataError, match="contains BTCUSDT, not ETHUSDT"):
        read(mixed, symbol="ETHUSDT")
    both = pd.concat([frame.assign(s="AAA"), (frame * 2).assign(s="BBB")])
    text = text_of(both, iso(frame) * 2, HEADER + ",symbol")
    candles = read(text, symbol="bbb")
    check(candles, frame * 2)
    assert kinds(candles) == {"row of another symbol": 60}
    with pytest.raises(DataError, match=r"contains 2 symbols \(AAA, BBB\)"):
        read(text)


def test_an_interval_that_the_file_does_not_have_is_rejected(read):
    frame = market()
    for wrong in ("4h", "1m"):
        with pytest.raises(DataError, match=f"its candles are 1h apart, not {wrong}"):
            read(text_of(frame, iso(frame)), interval=wrong)


def test_the_interval_of_an_illiquid_market_is_the_step_of_its_grid(read):
    frame = market().iloc[[0, 2, 4, 6, 8, 10, 11, 13]]
    candles = read(text_of(frame, iso(frame)))
    assert (candles.interval.label, candles.report.missing_candles) == ("1h", 6)
    check(candles, frame)


def test_a_file_without_a_regular_grid_is_rejected(read):
    frame = market("2021-01-01", 24, "MS")
    with pytest.raises(DataError, match="are not on a regular grid of 31d"):
        read(text_of(frame, iso(frame)))


@pytest.mark.parametrize("what", [b"PK\x03\x04 and more", bytes(range(1, 200)) * 9, b"<!doctype html>\n<html>"])
def test_damaged_files_are_rejected(read, what):
    with pytest.raises(DataError, match=r"compressed file is damaged|not candles|is a web page"):
        read(what)


@pytest.mark.parametrize("text", ["\n\n \n", HEADER + "\n", HEADER])
def test_an_empty_file_is_rejected(read, text):
    with pytest.raises(DataError, match=r"is empty|has a header but no rows"):
        read(text)


def test_a_single_candle_is_rejected(read):
    frame = market(rows=1)
    with pytest.raises(DataError, match="only 1 valid row"):
        read(text_of(frame, iso(frame)))


def test_writing_to_an_unsupported_or_unwritable_path_is_rejected(tmp_path):
    with pytest.raises(DataError, match=r"end the name in \.csv"):
        write_candles(market(), tmp_path / "x.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_candles(market(), tmp_path / "file" / "x.csv")
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["file"]


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_unknown_time_zone_is_not_treated_as_utc(read):
    frame = market()
    times = list(frame.index.strftime("%d %b %Y %H:%M:%S CET"))
    with pytest.raises(DataError, match=r"60 x not a time: line 2: '01 Mar 2021 00:00:00 CET'"):
        read(text_of(frame, times))


def test_text_in_another_encoding_is_accepted_in_any_column(read):
    frame = market()
    text = text_of(frame.assign(symbol="BTCUSDT"), iso(frame), HEADER + ",symbol")
    check(read(text.replace("BTCUSDT", "B\u00dcCUSDT").encode("latin-1")), frame)
    with pytest.raises(DataError, match="1 x not a time: line 2"):
        read(text.replace("2021-03-01T00", "2021-03-\u00fc1T00").encode("latin-1"))


@pytest.mark.filterwarnings("error")
def test_numbers_outside_the_range_of_times_are_dropped(read):
    frame = market()
    times = [1e20 if at in (3, 30) else one for at, one in enumerate(seconds(frame))]
    candles = read(text_of(frame, times, "unix,open,high,low,close,volume"))
    check(candles, frame.drop(frame.index[[3, 30]]))
    assert kinds(candles) == {"row without a time": 2}
    texts = ["1.5e121200", *map(str, seconds(frame)[1:])]
    rows = [[time, *map(float, row)] for time, row in zip(texts, frame.to_numpy(), strict=True)]
    check(read(json.dumps(rows), "x.json"), frame[1:])


def test_a_columnar_file_with_damaged_metadata_is_rejected(tmp_path, files):
    (tmp_path / "x.feather").write_bytes(files["x.feather"].replace(b"pandas_type", b"pandas_typo"))
    with pytest.raises(DataError, match="is damaged"):
        read_candles(tmp_path / "x.feather")


PIECES = [
    b"", b"NaN", b"inf", b"-1", b"1e400", b'"', b"\n", b";", b"\x00", b"\xff", b"2021-13-45", b"9999-12-31T00:00:00Z",
    b"1e18", b"99999999999999999999", b"1.5e1212", b"null", b"[]", b"{}", b"\r", b"Jan", b"0001-01-01",
]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    """Return one valid file of each format."""
    folder, frame = tmp_path_factory.mktemp("sound"), market()
    named = frame.reset_index()
    frame.to_parquet(folder / "x.parquet")
    named.to_feather(folder / "x.feather")
    epochs = [f"{one},{t:%d-%m-%y},{t:%H:%M}" for one, t in zip(seconds(frame), frame.index, strict=True)]
    (folder / "x.csv").write_text(text_of(frame, epochs, "unix,date,time,open,high,low,close,volume"))
    (folder / "y.csv").write_text(text_of(frame.assign(q=frame["volume"] * frame["close"]), iso(frame), HEADER + ",q"))
    (folder / "x.json").write_text(json.dumps([[one, 1, 2, 1, 2, 3] for one in seconds(frame)]))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.filterwarnings("error")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_content_is_read_or_rejected_with_a_message(tmp_path, files, data):
    name = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 30))] = data.draw(st.sampled_from(PIECES) | st.binary(max_size=2))
    (tmp_path / name).write_bytes(content)
    try:
        frame = read_candles(tmp_path / name).frame
    except DataError:
        return
    assert frame.index.is_monotonic_increasing
    assert frame.index.is_unique
    assert np.isfinite(frame.to_numpy()).all()
    assert (frame[NAMES[1:5]] > 0).all(axis=None)
