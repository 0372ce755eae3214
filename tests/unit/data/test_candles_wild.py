"""Kinds of files that were read wrongly or refused without a hint that works."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryptoml.config.schema import QualitySection
from cryptoml.data.candles import SeveralSymbolsError, read_candles
from cryptoml.data.cleaning.gates import check_quality
from cryptoml.errors import DataError
from tests.unit.data.reading.test_exports import LATER, market

HEADER = "timestamp,open,high,low,close,volume"


def text(frame: pd.DataFrame, **columns: object) -> str:
    shown = frame.reset_index().assign(**columns)
    shown["timestamp"] = shown["timestamp"].dt.strftime("%Y-%m-%d %H:%M:%S")
    return shown.to_csv(index=False)


def write(folder: Path, content: str | bytes, name: str = "BTCUSDT.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def same(candles, frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(candles.frame, frame, check_exact=True, check_freq=False, check_index_type=False)


def kinds(candles) -> dict[str, int]:
    return {finding.kind: finding.count for finding in candles.report.findings}


@pytest.mark.parametrize("column", ["Asset", "Ticker", "Symbol", "coin", "Name", "pair", "Asset_ID", "product_id"])
def test_several_markets_in_a_file_are_named_and_never_mixed(column: str, tmp_path: Path):
    one, other = market(), market(level=3000.0)
    names = ("1", "2") if column == "Asset_ID" else ("BTC-USD", "ETH-USD")
    both = pd.concat(
        [pd.read_csv(io.StringIO(text(f, **{column: n}))) for f, n in zip((one, other), names, strict=True)]
    )
    file = write(tmp_path, both.to_csv(index=False), "all.csv")
    with pytest.raises(SeveralSymbolsError, match=f"column {column} contains 2 symbols") as caught:
        read_candles(file, now=LATER)
    first, second = caught.value.symbols
    assert f"--symbol {first}" in caught.value.hint
    same(read_candles(file, symbol=first, now=LATER), one)
    same(read_candles(file, symbol=second, now=LATER), other)


def test_a_column_of_the_sources_own_numbers_or_of_texts_is_no_symbol(tmp_path: Path):
    frame = market()
    assert read_candles(write(tmp_path, text(frame, name="2781")), now=LATER).symbol == "BTCUSDT"
    notes = [f"note {number}" for number in range(len(frame))]
    assert read_candles(write(tmp_path, text(frame, name=notes)), now=LATER).symbol == "BTCUSDT"


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BINANCE_BTCUSDT, 60.csv", "BTCUSDT"), ("BTCUSD60.csv", "BTCUSD"), ("ETHUSD1440.csv", "ETHUSD"),
        ("BTC-USD_FIVE_MINUTE.csv", "BTCUSD"), ("XBTUSD_60.csv", "XBTUSD"), ("Binance_BTCUSDT_1h.csv", "BTCUSDT"),
        ("BITSTAMP_ETHEUR, 1D.csv", "ETHEUR"), ("btcusdt.csv", "BTCUSDT"), ("candles.csv", "UNKNOWN"),
    ],
)  # fmt: skip
def test_symbols_in_file_names(name: str, symbol: str, tmp_path: Path):
    assert read_candles(write(tmp_path, text(market()), name), now=LATER).symbol == symbol


def test_a_filled_volume_column_is_used_instead_of_an_empty_one(tmp_path: Path):
    frame = market()
    candles = read_candles(write(tmp_path, text(frame.rename(columns={"volume": "tickvol"}), volume=0)), now=LATER)
    same(candles, frame)
    assert "volume read from column tickvol, as volume has only zeros" in kinds(candles)


@pytest.mark.parametrize("swap", [False, True], ids=["finer first", "finer last"])
def test_near_duplicates_with_equally_many_decimals_are_merged(swap: bool, tmp_path: Path):
    frame = market()
    near = frame.assign(open=(frame["open"] + 0.1).round(1))
    near["high"] = np.maximum(near["high"], near["open"])
    forms = [frame, near][:: -1 if swap else 1]
    rows = pd.concat([pd.read_csv(io.StringIO(text(form))) for form in forms])
    candles = read_candles(write(tmp_path, rows.to_csv(index=False)), now=LATER)
    same(candles, forms[0])
    assert kinds(candles)["rounded duplicate of another row"] == len(frame)


def test_all_contradictory_pairs_are_counted(tmp_path: Path):
    frame = market()
    other = frame.assign(close=(frame["close"] * 0.97).round(1), low=(frame["low"] * 0.95).round(1))
    rows = pd.concat([pd.read_csv(io.StringIO(text(form))) for form in (frame, other)])
    with pytest.raises(DataError, match=f"{len(frame)} x two contradictory") as caught:
        read_candles(write(tmp_path, rows.to_csv(index=False)), now=LATER)
    assert "several markets" in caught.value.hint


def test_minutes_filled_without_trades_are_read(tmp_path: Path):
    index = pd.date_range("2011-08-18 12:35", periods=400, freq="5min", tz="UTC", name="timestamp")
    frame = pd.DataFrame(10.5, index=index, columns=["open", "high", "low", "close"]).assign(volume=0.0)
    frame.loc[frame.index[[0, 150, 399]], "volume"] = 1.5
    candles = read_candles(write(tmp_path, text(frame)), now=LATER)
    same(candles, frame)
    assert kinds(candles) == {"flat candle of volume 0, kept because many candles have no trades": 397}


def test_one_price_spike_passes_the_gates_of_a_short_file(tmp_path: Path):
    frame = market("D")
    wrong = frame.copy()
    wrong.iloc[30, 2] = 1.0
    candles = read_candles(write(tmp_path, text(wrong)), now=LATER)
    assert kinds(candles) == {"price spike": 1}
    assert all(gate.passed for gate in check_quality(candles.report, QualitySection(), age_intervals=None))


def test_many_price_spikes_do_not_pass(tmp_path: Path):
    wrong = market("D")
    wrong.iloc[[10, 20, 30, 40], 2] = 1.0
    candles = read_candles(write(tmp_path, text(wrong)), now=LATER)
    failed = [
        gate.gate for gate in check_quality(candles.report, QualitySection(), age_intervals=None) if not gate.passed
    ]
    assert "spikes" in failed


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin"])
def test_local_time_with_a_clock_change_is_refused_and_read_with_its_zone(zone: str, tmp_path: Path):
    frame = market()
    changes = {"America/New_York": "2024-11-02 14:00", "Europe/Berlin": "2024-10-26 10:00"}
    frame.index = pd.date_range(changes[zone], periods=len(frame), freq="h", tz="UTC", name="timestamp")
    shown = text(frame.set_axis(frame.index.tz_convert(zone).tz_localize(None).rename("timestamp")))
    file = write(tmp_path, shown)
    with pytest.raises(DataError, match="look like local time") as caught:
        read_candles(file, now=LATER)
    assert f"--timezone {zone}" in caught.value.hint
    same(read_candles(file, timezone=zone, now=LATER), frame)


def test_prices_destroyed_by_a_spreadsheet_are_recognised(tmp_path: Path):
    frame = market("D")
    rows = [f"{t:%Y-%m-%d};{o:.0f}.000.000.000;{h:.0f}.000.000.000;{low:.0f}.000.000.000;{c:.0f}.000.000.000;{v}"
            for t, o, h, low, c, v in frame.itertuples()]  # fmt: skip
    with pytest.raises(DataError, match="a spreadsheet destroyed the prices") as caught:
        read_candles(write(tmp_path, "\n".join(["date;open;high;low;close;volume", *rows])), now=LATER)
    assert "download the file again" in caught.value.hint


def test_prices_that_can_be_read_in_two_ways_are_refused(tmp_path: Path):
    frame = market().round(0)
    rows = [",".join([f"{t:%Y-%m-%d %H:%M}", *(f'"{one:,.0f}"' for one in (o, h, low, c)), "15"])
            for t, o, h, low, c, v in frame.itertuples()]  # fmt: skip
    with pytest.raises(DataError, match="can be a number with decimals"):
        read_candles(write(tmp_path, "\n".join([HEADER, *rows])), now=LATER)


def test_repeated_header_lines_are_dropped_and_lines_are_still_counted(tmp_path: Path):
    frame = market()
    rows = text(frame).splitlines()
    joined = [*rows[:20], rows[0], *rows[20:40], rows[0], *rows[40:]]
    candles = read_candles(write(tmp_path, "\n".join(joined)), now=LATER)
    same(candles, frame)
    assert "2 x repeated header line, dropped" in kinds(candles)
    joined[50] = joined[50].replace(",", ",x", 1)
    with pytest.raises(DataError, match="line 51: 'x"):
        read_candles(write(tmp_path, "\n".join(joined)), now=LATER)


def zipped(content: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return packed.getvalue()


def zstd(content: bytes) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


PACKED = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd,
    "zip": lambda content: zipped(content, "folder/data.csv"),
    "zip with notes": lambda content: zipped(content, "data.csv", "README.txt", "__MACOSX/._data.csv", ".DS_Store"),
    "gz in zip": lambda content: zipped(gzip.compress(content), "data.csv.gz"),
}  # fmt: skip


@pytest.mark.parametrize("name", PACKED)
def test_packed_files(name: str, tmp_path: Path):
    frame = market()
    same(read_candles(write(tmp_path, PACKED[name](text(frame).encode()), "BTCUSDT.csv.packed"), now=LATER), frame)


@pytest.mark.parametrize("name", ["gz", "bz2", "xz", "zip", "zst"])
def test_truncated_packed_files_are_refused(name: str, tmp_path: Path):
    packed = PACKED[name](text(market()).encode())
    with pytest.raises(DataError, match=r"damaged or truncated|not candles|not a text|is empty"):
        read_candles(write(tmp_path, packed[: len(packed) // 2], "BTCUSDT.csv.packed"), now=LATER)


def test_an_archive_with_several_tables_is_refused_with_their_names(tmp_path: Path):
    with pytest.raises(DataError, match=r"contains 2 files \(a.csv, b.csv\)"):
        read_candles(write(tmp_path, zipped(text(market()).encode(), "a.csv", "b.csv"), "x.zip"), now=LATER)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("cryptoml.data.reading.archives.MAX_BYTES", 1 << 20)
    with pytest.raises(DataError, match="unpacked, it has more than"):
        read_candles(write(tmp_path, zipped(b"0" * (1 << 24), "a.csv"), "x.zip"), now=LATER)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(encoding: str, tmp_path: Path):
    frame = market()
    same(read_candles(write(tmp_path, text(frame, remark="Börse").encode(encoding)), now=LATER), frame)


def workbook(**sheets: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    with pd.ExcelWriter(file, engine="openpyxl") as writer:
        for name, frame in sheets.items():
            frame.to_excel(writer, sheet_name=name, index=False)
    return file.getvalue()


def for_excel(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis(frame.index.tz_localize(None)).reset_index()


def test_a_workbook_is_read(tmp_path: Path):
    frame = market()
    notes = pd.DataFrame({"about": ["made by hand"]})
    candles = read_candles(write(tmp_path, workbook(notes=notes, data=for_excel(frame)), "BTCUSDT.xlsx"), now=LATER)
    same(candles, frame)


def test_a_workbook_with_several_sheets_of_candles_asks_for_one(tmp_path: Path):
    frame, other = market(), market(level=3000.0)
    file = write(tmp_path, workbook(BTC=for_excel(frame), ETH=for_excel(other)), "all.xlsx")
    with pytest.raises(DataError, match="has several sheets: BTC, ETH") as caught:
        read_candles(file, now=LATER)
    assert "--sheet 'BTC'" in caught.value.hint
    same(read_candles(file, sheet="ETH", now=LATER), other)
    with pytest.raises(DataError, match="has no sheet 'X'"):
        read_candles(file, sheet="X", now=LATER)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"<!DOCTYPE html><html></html>", "is a web page"), (b"\xd0\xcf\x11\xe0" + b"0" * 600, "old format of Excel"),
        (b"7z\xbc\xaf'\x1c" + b"0" * 90, "7z"), (b"Rar!\x1a\x07" + b"0" * 90, "RAR"),
        (b"PK\x03\x04" + b"0" * 90, "damaged"),
    ],
)  # fmt: skip
def test_other_files_are_named(content: bytes, fact: str, tmp_path: Path):
    with pytest.raises(DataError, match=fact):
        read_candles(write(tmp_path, content), now=LATER)
