"""Files in local time: converted to UTC if the time zone is named, else detected by their clock changes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cryptoml.data.candles import read_candles
from cryptoml.errors import DataError

HOURS = pd.date_range("2019-01-01", "2020-01-01", freq="h", tz="UTC")


def write(path: Path, times: pd.Index | pd.Series, *, keep: str | None = None) -> Path:
    close = 100 + pd.Series(range(len(times))) % 7
    frame = pd.DataFrame(
        {"timestamp": times, "open": close, "high": close + 1, "low": close - 1, "close": close + 0.5, "volume": 3.0}
    )
    if keep:
        frame = frame.drop_duplicates("timestamp", keep=keep)
    frame.to_csv(path, index=False)
    return path


def local(zone: str, text: str = "%Y-%m-%d %H:%M:%S") -> pd.Index:
    return HOURS.tz_convert(zone).strftime(text)


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Europe/London", "Australia/Sydney"])
@pytest.mark.parametrize("descending", [False, True])
def test_with_a_named_zone_every_hour_is_converted(tmp_path: Path, zone: str, descending: bool) -> None:
    times = local(zone)[::-1] if descending else local(zone)
    found = read_candles(write(tmp_path / "a.csv", times), timezone=zone)
    assert list(found.frame.index) == list(HOURS)


@pytest.mark.parametrize(
    "zone",
    [
        "America/New_York", "Europe/Berlin", "Europe/London", "Europe/Athens", "Australia/Sydney",
        "Pacific/Auckland", "America/Sao_Paulo", "America/Santiago", "Asia/Jerusalem",
    ],
)  # fmt: skip
def test_a_repeated_hour_in_autumn_is_rejected_as_local_time(tmp_path: Path, zone: str) -> None:
    with pytest.raises(DataError, match="local time") as caught:
        read_candles(write(tmp_path / "a.csv", local(zone)))
    assert f"--timezone {zone}" in caught.value.hint


def test_a_zone_with_the_same_clock_changes_can_be_named(tmp_path: Path) -> None:
    found = read_candles(write(tmp_path / "a.csv", local("America/Chicago")), timezone="America/Chicago")
    assert list(found.frame.index) == list(HOURS)


def test_a_skipped_hour_in_spring_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", local("America/New_York"), keep="first")
    noted = [one.kind for one in read_candles(path).report.findings if "local time" in one.kind]
    assert len(noted) == 1
    assert "2019-03-10 02:00 is missing" in noted[0]
    assert "--timezone America/New_York" in noted[0]
    missing = HOURS.difference(read_candles(path, timezone="America/New_York").frame.index)
    assert list(missing) == [pd.Timestamp("2019-11-03 06:00", tz="UTC")]


def test_an_hour_skipped_by_the_named_zone_is_rejected_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HOURS.strftime("%Y-%m-%d %H:%M"))
    with pytest.raises(DataError, match=r"line \d+: 2019-03-31 02:00 does not exist in Europe/Berlin"):
        read_candles(path, timezone="Europe/Berlin")


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%SZ"])
def test_times_with_an_offset_need_no_zone(tmp_path: Path, form: str) -> None:
    times = local("America/New_York", form) if "%z" in form else HOURS.strftime(form)
    found = read_candles(write(tmp_path / "a.csv", times), timezone="Europe/Berlin")
    assert list(found.frame.index) == list(HOURS)


@pytest.mark.parametrize("dropped", ["2019-03-10 02:00", "2019-07-10 02:00"])
def test_an_outage_is_not_mistaken_for_a_clock_change(tmp_path: Path, dropped: str) -> None:
    """Two missing hours around a clock change, or an hour in July without one, are no evidence of local time."""
    kept = HOURS.difference(pd.date_range(dropped, periods=2, freq="h", tz="UTC"))
    found = read_candles(write(tmp_path / "a.csv", kept.strftime("%Y-%m-%d %H:%M")))
    assert not [one for one in found.report.findings if "local time" in one.kind]


def test_utc_and_daily_candles_are_no_evidence_of_local_time(tmp_path: Path) -> None:
    for times in (HOURS.strftime("%Y-%m-%d %H:%M"), pd.date_range("2015-01-01", periods=900).strftime("%Y-%m-%d")):
        found = read_candles(write(tmp_path / "a.csv", times))
        assert not [one for one in found.report.findings if "local time" in one.kind]
