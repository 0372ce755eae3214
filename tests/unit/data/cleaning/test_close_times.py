"""Close times are recognised and converted; the newest complete candle is kept, an incomplete one dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.candles import Candles, read_candles

N = 50


def frame_of(freq: str) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    close = np.round(100 + np.cumsum(rng.normal(0, 0.5, N)), 2)
    opened = np.concatenate([[100.0], close[:-1]])
    index = pd.date_range("2024-08-10", periods=N, freq=freq, tz="UTC", name="timestamp")
    values = {
        "open": opened, "high": np.maximum(opened, close) + 0.2, "low": np.minimum(opened, close) - 0.2, "close": close,
        "volume": np.round(rng.uniform(100, 200, N), 2),
    }  # fmt: skip
    return pd.DataFrame(values, index=index).round(2)


def read(
    tmp_path: Path, frame: pd.DataFrame, times: list[str], *, column: str = "Date", now: str = "2026-01-01"
) -> Candles:
    file = tmp_path / "BTCUSDT.csv"
    frame.assign(**{column: times})[[column, *frame.columns]].to_csv(file, index=False)
    return read_candles(file, now=pd.Timestamp(now, tz="UTC"))


def shift_finding(candles: Candles) -> str:
    return next((one.kind for one in candles.report.findings if one.kind.startswith("close time")), "")


@pytest.mark.parametrize(
    ("freq", "end", "form"),
    [
        ("D", "1s", "%Y-%m-%d %H:%M:%S"), ("h", "1s", "%Y-%m-%d %H:%M:%S"), ("4h", "1s", "%Y-%m-%d %H:%M:%S"),
        ("15min", "1s", "%Y-%m-%d %H:%M:%S"), ("min", "1s", "%Y-%m-%d %H:%M:%S"), ("D", "1ms", "%Y-%m-%dT%H:%M:%S.%fZ"),
        ("h", "1ms", "%Y-%m-%dT%H:%M:%S.%fZ"), ("h", "1us", "%Y-%m-%dT%H:%M:%S.%fZ"),
    ],
)  # fmt: skip
def test_the_last_moment_of_a_candle_is_its_close_time(freq: str, end: str, form: str, tmp_path: Path):
    frame = frame_of(freq)
    closes = frame.index + pd.Timedelta(frame.index.freq) - pd.Timedelta(end)
    candles = read(tmp_path, frame, [f"{time:{form}}" for time in closes])
    pd.testing.assert_frame_equal(candles.frame, frame, check_freq=False, check_index_type=False)
    assert shift_finding(candles) == f"close time, converted to the open time {candles.interval.label} before"


@pytest.mark.parametrize(("unit", "end"), [(10**9, 1), (10**6, 1), (10**3, 1)], ids=["s", "ms", "us"])
def test_epochs_of_close_times(unit: int, end: int, tmp_path: Path):
    frame = frame_of("h")
    closes = [(time.value + 3600 * 10**9) // unit - end for time in frame.index]
    candles = read(tmp_path, frame, list(map(str, closes)), column="timestamp")
    pd.testing.assert_frame_equal(candles.frame, frame, check_freq=False, check_index_type=False)


@pytest.mark.parametrize("column", ["close_time", "Close Time", "time_close", "time_period_end", "End"])
def test_a_column_of_whole_close_times_is_recognised_by_its_name(column: str, tmp_path: Path):
    frame = frame_of("h")
    candles = read(
        tmp_path, frame, [f"{time + pd.Timedelta('1h'):%Y-%m-%d %H:%M}" for time in frame.index], column=column
    )
    pd.testing.assert_frame_equal(candles.frame, frame, check_freq=False, check_index_type=False)
    assert shift_finding(candles)


def test_open_times_are_used_where_there_are_both(tmp_path: Path):
    frame = frame_of("h")
    shown = frame.assign(close_time=[f"{time + pd.Timedelta('1h'):%Y-%m-%d %H:%M}" for time in frame.index])
    candles = read(tmp_path, shown, [f"{time:%Y-%m-%d %H:%M}" for time in frame.index], column="open_time")
    pd.testing.assert_frame_equal(candles.frame, frame, check_freq=False, check_index_type=False)
    assert not shift_finding(candles)


@pytest.mark.parametrize(("now", "kept"), [("2024-09-29 00:00:01", N), ("2024-09-28 23:59:00", N - 1)])
def test_the_newest_complete_candle_is_kept_and_an_incomplete_one_dropped(now: str, kept: int, tmp_path: Path):
    """Daily candles at 23:59:59: on the next morning the newest one is complete."""
    frame = frame_of("D")
    candles = read(tmp_path, frame, [f"{time:%Y-%m-%d} 23:59:59" for time in frame.index], now=now)
    pd.testing.assert_frame_equal(candles.frame, frame[:kept], check_freq=False, check_index_type=False)


def test_an_incomplete_candle_with_the_time_of_its_download_is_dropped(tmp_path: Path):
    frame = frame_of("D")
    times = [f"{time:%Y-%m-%d} 23:59:59" for time in frame.index]
    times[-1] = f"{frame.index[-1]:%Y-%m-%d} 14:35:12"
    candles = read(tmp_path, frame, times)
    pd.testing.assert_frame_equal(candles.frame, frame[:-1], check_freq=False, check_index_type=False)
