"""Reading candles: supported formats, repaired and dropped rows, and rejected files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptoml.data.candles import QualityReport, read_candles, write_candles
from cryptoml.errors import DataError

ROWS = 40


def market(rows: int = ROWS, start: str = "2021-03-01") -> pd.DataFrame:
    """Return hourly candles with prices of two decimals."""
    rng = np.random.default_rng(3)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows))), 2)
    opens = np.r_[100.0, close[:-1]]
    index = pd.date_range(start, periods=rows, freq="h", tz="UTC", name="timestamp")
    return pd.DataFrame(
        {
            "open": opens,
            "high": np.round(np.maximum(opens, close) + 0.5, 2),
            "low": np.round(np.minimum(opens, close) - 0.5, 2),
            "close": close,
            "volume": np.round(rng.uniform(5, 20, rows), 3),
        },
        index=index,
    )


def text_of(frame: pd.DataFrame, times: list[str], header: str = "timestamp,open,high,low,close,volume") -> str:
    values = frame.to_numpy()
    lines = [f"{time},{','.join(map(str, row))}" for time, row in zip(times, values, strict=True)]
    return "\n".join([header, *lines]) + "\n"


def iso(frame: pd.DataFrame) -> list[str]:
    return list(frame.index.strftime("%Y-%m-%dT%H:%M:%SZ"))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def check(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert found.index.equals(expected.index.as_unit("ns"))
    np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


def kinds(report: QualityReport) -> dict[str, int]:
    return {one.kind: one.count for one in report.findings}


FORMS = {
    "iso": "%Y-%m-%dT%H:%M:%SZ",
    "offset": "%Y-%m-%d %H:%M:%S+00:00",
    "plain": "%Y-%m-%d %H:%M",
    "12 hours": "%Y-%m-%d %I-%p",
    "day first": "%d/%m/%Y %H:%M",
    "month first": "%m/%d/%Y %H:%M",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("newest_first", [False, True])
def test_common_date_formats_are_read(tmp_path, form, newest_first):
    frame = market()
    shown = frame[::-1] if newest_first else frame
    path = write(tmp_path / "BTCUSDT_1h.csv", text_of(shown, list(shown.index.strftime(FORMS[form]))))
    candles = read_candles(path)
    check(candles.frame, frame)
    assert (candles.symbol, candles.interval.label) == ("BTCUSDT", "1h")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "mixed"])
def test_epochs_in_any_unit_are_read_even_if_mixed(tmp_path, unit):
    frame = market()
    seconds = [int(stamp.timestamp()) for stamp in frame.index]
    factor = {"s": 1, "ms": 1000, "us": 10**6}
    times = [
        f"{second}.0" if unit == "mixed" and place % 2 else str(second * factor.get(unit, 1000))
        for place, second in enumerate(seconds)
    ]
    path = write(tmp_path / "x.csv", text_of(frame, times, header="unix,open,high,low,close,volume"))
    check(read_candles(path).frame, frame)


def test_times_with_an_offset_are_converted_to_utc(tmp_path):
    frame = market()
    local = list(frame.index.tz_convert("+03:00").strftime("%Y-%m-%d %H:%M:%S+03:00"))
    check(read_candles(write(tmp_path / "x.csv", text_of(frame, local))).frame, frame)


def test_an_epoch_rounded_by_a_spreadsheet_is_replaced_by_date_and_time(tmp_path):
    frame = market(60, "2021-11-03")
    lines = ["unix,date,time,symbol,open,high,low,close,Volume DOT,Volume USDT"]
    for stamp, row in frame[::-1].iterrows():
        epoch = f"{stamp.timestamp() * 1000:.5E}".replace("E+12", "E+12")
        prices = ",".join(map(str, row.iloc[:4]))
        lines.append(
            f"{epoch},{stamp:%d-%m-%y},{stamp:%H:%M:%S},DOT/USDT,{prices},{row.volume},{row.volume * row.close}"
        )
    candles = read_candles(write(tmp_path / "x.csv", "\n".join(lines)))
    check(candles.frame, frame)
    assert candles.symbol == "DOTUSDT"
    assert kinds(candles.report)["epoch rounded by a spreadsheet, date used"] > 40


def test_the_epoch_is_used_if_epoch_and_date_disagree(tmp_path):
    frame = market()
    lines = ["unix,date,open,high,low,close,volume"]
    for place, (stamp, row) in enumerate(frame.iterrows()):
        date = stamp - pd.Timedelta(hours=5 if 10 <= place < 13 else 0)
        lines.append(f"{int(stamp.timestamp())},{date:%Y-%m-%d %H:%M:%S},{','.join(map(str, row))}")
    candles = read_candles(write(tmp_path / "x.csv", "\n".join(lines)))
    check(candles.frame, frame)
    assert kinds(candles.report) == {"date disagrees with the epoch, epoch used": 3}


def test_an_ambiguous_date_is_rejected(tmp_path):
    lines = ["date,open,high,low,close,volume"]
    lines += [f"06-12-2021 0{hour}:00,10,11,9,10,1" for hour in range(8)]
    path = write(tmp_path / "x.csv", "\n".join(lines))
    with pytest.raises(DataError, match="day first or month first"):
        read_candles(path)


@pytest.mark.parametrize("title", ["https-free title", "one,two", "a,b,c"])
def test_a_title_line_and_windows_line_ends_are_accepted(tmp_path, title):
    frame = market()
    path = tmp_path / "x.csv"
    path.write_bytes((title + "\n" + text_of(frame, iso(frame))).replace("\n", "\r\n").encode())
    check(read_candles(path).frame, frame)


def test_column_order_and_case_do_not_matter(tmp_path):
    frame = market()
    shown = frame[["close", "open", "volume", "high", "low"]]
    path = write(tmp_path / "x.csv", text_of(shown, iso(frame), header="Date,CLOSE,Open,Volume,High,Low"))
    check(read_candles(path).frame, frame)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_base_volume_is_detected_under_any_name(tmp_path, swapped):
    frame = market()
    quote = frame["volume"] * frame["close"]
    names = "Volume USDT,Volume BTC" if swapped else "Volume BTC,Volume USDT"
    shown = frame.assign(quote=quote)
    path = write(tmp_path / "x.csv", text_of(shown, iso(frame), header=f"Date,Open,High,Low,Close,{names}"))
    check(read_candles(path).frame, frame)


def test_a_file_without_a_header_is_read_or_needs_columns(tmp_path):
    frame = market()
    body = text_of(frame, iso(frame)).partition("\n")[2]
    path = write(tmp_path / "x.csv", body)
    check(read_candles(path).frame, frame)
    check(read_candles(path, columns=["timestamp", "open", "high", "low", "close", "volume"]).frame, frame)


def test_an_exchange_dump_of_twelve_columns_is_read(tmp_path):
    frame = market()
    lines = [
        f"{int(stamp.timestamp() * 1000)},{','.join(map(str, row))},{int(stamp.timestamp() * 1000) + 3599999},1,2,3,4,0"
        for stamp, row in frame.iterrows()
    ]
    check(read_candles(write(tmp_path / "x.csv", "\n".join(lines))).frame, frame)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_written_candles_are_read_back_unchanged(tmp_path, ending):
    frame = market()
    path = tmp_path / "deep" / f"ETHUSDT{ending}"
    write_candles(frame, path)
    first = path.read_bytes()
    candles = read_candles(path)
    check(candles.frame, frame)
    assert candles.report.findings == ()
    write_candles(frame, path)
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_json_and_feather_of_freqtrade_are_read(tmp_path):
    frame = market()
    rows = [[int(stamp.timestamp() * 1000), *map(float, row)] for stamp, row in frame.iterrows()]
    check(read_candles(write(tmp_path / "x.json", json.dumps(rows))).frame, frame)
    (tmp_path / "y.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    check(read_candles(tmp_path / "y.json.gz").frame, frame)
    frame.reset_index(names="date").to_feather(tmp_path / "z.feather")
    check(read_candles(tmp_path / "z.feather").frame, frame)


def test_duplicates_are_merged_and_the_more_precise_row_is_kept(tmp_path):
    frame = market().assign(close=lambda one: one["close"] + 0.00125)
    rounded = frame.iloc[5:9].round({"close": 2})
    unfinished = frame.iloc[[20]].assign(
        high=lambda one: one["high"] - 0.2, close=lambda one: one["close"], volume=lambda one: one["volume"] / 3
    )
    shown = pd.concat([frame, rounded, frame.iloc[[30]], unfinished])
    candles = read_candles(write(tmp_path / "x.csv", text_of(shown, iso(shown))))
    check(candles.frame, frame)
    found = kinds(candles.report)
    assert found["rounded duplicate of another row"] == 4
    assert found["exact duplicate of another row"] == 1
    assert found["incomplete duplicate of another row"] == 1


def test_contradictory_candles_for_one_time_are_an_error(tmp_path):
    frame = market()
    other = frame.iloc[[7]] * 1.01
    shown = pd.concat([frame, other])
    with pytest.raises(DataError, match=r"two contradictory candles for the same time: line 42: 2021-03-01 07:00 UTC"):
        read_candles(write(tmp_path / "x.csv", text_of(shown, iso(shown))))


BAD = {
    "price of zero or below": lambda f: f.assign(low=f["low"].where(f.index != f.index[9], 0.0)),
    "high and low do not enclose open and close": lambda f: f.assign(
        high=f["high"].where(f.index != f.index[9], f["low"])
    ),
    "price spike": lambda f: f.assign(low=f["low"].where(f.index != f.index[9], 1.0)),
    "flat candle of volume 0": lambda f: f.where(f.index.to_series() != f.index[9], _flat(f, 9)),
    "row without a price": lambda f: f.assign(close=f["close"].where(f.index != f.index[9])),
}


def _flat(frame: pd.DataFrame, place: int) -> pd.DataFrame:
    close = frame["close"].iloc[place - 1]
    return pd.DataFrame({"open": close, "high": close, "low": close, "close": close, "volume": 0.0}, index=frame.index)


@pytest.mark.parametrize("kind", BAD)
def test_invalid_rows_are_dropped_or_rejected_by_policy(tmp_path, kind):
    frame = market()
    shown = BAD[kind](frame)
    path = write(tmp_path / "x.csv", text_of(shown, iso(shown)).replace("nan", ""))
    candles = read_candles(path)
    check(candles.frame, frame.drop(frame.index[9]))
    assert kinds(candles.report) == {kind: 1}
    assert candles.report.findings[0].examples == ("line 11: 2021-03-01 09:00 UTC",)
    assert (candles.report.missing_candles, len(candles.report.breaks)) == (1, 1)
    with pytest.raises(DataError, match=f"{kind}: line 11"):
        read_candles(path, on_bad_rows="fail")


def test_a_crash_with_high_volume_is_kept(tmp_path):
    frame = market()
    frame.loc[frame.index[9], ["low", "volume"]] = [40.0, 900.0]
    check(read_candles(write(tmp_path / "x.csv", text_of(frame, iso(frame)))).frame, frame)


def test_a_candle_off_the_grid_is_dropped(tmp_path):
    frame = market()
    times = iso(frame)
    times[12] = times[12].replace(":00:00Z", ":28:14Z")
    candles = read_candles(write(tmp_path / "x.csv", text_of(frame, times)))
    check(candles.frame, frame.drop(frame.index[12]))


def test_an_incomplete_last_candle_is_dropped(tmp_path):
    frame = market()
    path = write(tmp_path / "x.csv", text_of(frame, iso(frame)))
    now = frame.index[-1] + pd.Timedelta(minutes=59)
    check(read_candles(path, now=now).frame, frame[:-1])
    check(read_candles(path, now=now + pd.Timedelta(minutes=1)).frame, frame)


def test_a_missing_volume_column_is_noted(tmp_path):
    frame = market().drop(columns="volume")
    candles = read_candles(write(tmp_path / "x.csv", text_of(frame, iso(frame), header="date,open,high,low,close")))
    assert (candles.frame["volume"] == 0).all()
    assert kinds(candles.report) == {"no volume column, 0 used": ROWS}


def test_null_values_in_unused_columns_are_ignored(tmp_path):
    frame = market()
    shown = frame.assign(trades=["NULL" if place % 2 else "12" for place in range(ROWS)])
    path = write(tmp_path / "x.csv", text_of(shown, iso(shown), header="date,open,high,low,close,volume,tradecount"))
    check(read_candles(path).frame, frame)


def test_text_in_a_price_is_an_error_with_line_and_column(tmp_path):
    frame = market()
    text = text_of(frame, iso(frame)).splitlines()
    text[7] = text[7].replace(text[7].split(",")[2], "n.a. yet")
    with pytest.raises(DataError, match=r"column high: 1 x not a number: line 8: 'n.a. yet'"):
        read_candles(write(tmp_path / "x.csv", "\n".join(text)))


def test_a_file_without_candles_is_rejected_with_a_message(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_candles(tmp_path / "no.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_candles(tmp_path)
    with pytest.raises(DataError, match="is empty"):
        read_candles(write(tmp_path / "empty.csv", ""))
    with pytest.raises(DataError, match="no rows"):
        read_candles(write(tmp_path / "header.csv", "timestamp,open,high,low,close,volume\n"))
    with pytest.raises(DataError, match=r"not candles.*city, people"):
        read_candles(write(tmp_path / "other.csv", "city,people\nBonn,300000\n"))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(text_of(market(), iso(market())).encode())[:200])
    with pytest.raises(DataError, match="damaged or truncated"):
        read_candles(tmp_path / "cut.csv.gz")
    two = text_of(market(), [f"{time}" for time in iso(market())])
    mixed = "\n".join(
        f"{line},{'symbol' if not place else 'A' if place % 2 else 'B'}" for place, line in enumerate(two.splitlines())
    )
    with pytest.raises(DataError, match="contains 2 symbols"):
        read_candles(write(tmp_path / "two.csv", mixed))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), copies=st.integers(0, 8), missing=st.integers(0, 6))
def test_row_order_and_duplicates_do_not_change_the_candles(tmp_path, seed, copies, missing):
    rng = np.random.default_rng(seed)
    frame = market()
    frame = frame.drop(frame.index[rng.choice(np.arange(1, ROWS - 1), missing, replace=False)])
    shown = pd.concat([frame, frame.iloc[rng.integers(0, len(frame), copies)]])
    shown = shown.iloc[rng.permutation(len(shown))]
    candles = read_candles(write(tmp_path / "x.csv", text_of(shown, iso(shown))))
    check(candles.frame, frame)
    report = candles.report
    dropped = sum(one.count for one in report.findings if one.action == "dropped")
    assert report.rows_read == len(shown) == report.candles + dropped
    assert report.missing_candles == missing
    assert QualityReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
