"""Extraction through the real ccxt client, against an exchange on loopback that speaks Binance's REST interface."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from cryptoml import events
from cryptoml.data.candles import read_candles
from cryptoml.data.exchange import candle_file, retry
from cryptoml.data.exchange import client as exchange_module
from cryptoml.errors import AccessError, CryptomlError, DataError, UnavailableError, UsageError
from cryptoml.workflows.extract_data import ExtractRequest, ExtractResult, extract
from tests.exchange.server import Fault, StandIn, make_standin

HOUR_MS = 3_600_000


@pytest.fixture
def standin():
    made = make_standin(candles=2500).start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 0.01)


@dataclass
class Told:
    """A listener that keeps what it heard."""

    heard: list[events.Event] = field(default_factory=list)

    def __call__(self, event: events.Event) -> None:
        self.heard.append(event)

    def texts(self, kind: type[events.Event]) -> str:
        return "\n".join(str(getattr(event, "text", "")) for event in self.heard if isinstance(event, kind))


def fetch(standin: StandIn, output: Path, told: Told | None = None, **changes) -> ExtractResult:
    wanted = {
        "exchange": "binance",
        "symbols": ("BTC/USDT",),
        "interval": "1h",
        "since": "2019-01-01",
        "since_is_asked": True,
        "until": None,
        "output": output,
        "url": standin.url,
    }
    return extract(ExtractRequest(**{**wanted, **changes}), on_event=told or Told())


def in_file(path: Path) -> list[list[float]]:
    """Open time (ms) and the five numbers of each line, as they stand there."""
    frame = pd.read_csv(path, parse_dates=["timestamp"])
    times = frame["timestamp"].dt.as_unit("ms").astype("int64")
    return [[time, *row] for time, row in zip(times, frame.iloc[:, 1:6].to_numpy().tolist(), strict=True)]


def at_exchange(standin: StandIn, *, symbol: str = "BTCUSDT", since_ms: int = 0) -> list[list[float]]:
    """The same of every candle that is complete at the exchange's time."""
    rows = standin.markets[symbol, "1h"].rows
    return [
        [row[0], *map(float, row[1:6])] for row in rows if row[0] >= since_ms and row[0] + HOUR_MS <= standin.now_ms
    ]


def test_every_complete_candle_arrives_once_and_the_open_one_does_not(standin, tmp_path):
    path = tmp_path / "BTCUSDT_1h.csv"
    result = fetch(standin, tmp_path)
    assert in_file(path) == at_exchange(standin)
    assert len(in_file(path)) == 2499, "the 2500th is still open"
    (market,) = result.markets
    assert (market.path, market.added, market.missing) == (path, 2499, 0)
    assert (market.first, market.last) == ("2019-01-01 00:00", "2019-04-15 02:00")
    assert [page["limit"] for page in standin.pages] == ["1000"] * 3
    read = read_candles(path)
    assert (read.symbol, read.interval.label, len(read.frame), read.report.findings) == ("BTCUSDT", "1h", 2499, ())


def test_a_continued_file_has_the_same_bytes_as_a_single_call(standin, tmp_path):
    whole = fetch(standin, tmp_path / "whole").markets[0].path
    now = standin.now_ms
    added = []
    for hours_ago in (1500, 3, 3, 0):
        standin.now_ms = now - hours_ago * HOUR_MS
        told = Told()
        added.append(fetch(standin, tmp_path / "parts", told).markets[0].added)
    assert added == [999, 1497, 0, 3]
    assert (tmp_path / "parts" / "BTCUSDT_1h.csv").read_bytes() == whole.read_bytes()


def test_no_new_candles_is_reported_and_leaves_the_file_unchanged(standin, tmp_path):
    path = fetch(standin, tmp_path).markets[0].path
    before, asked = path.read_bytes(), len(standin.pages)
    told = Told()
    result = fetch(standin, tmp_path, told)
    assert (result.markets[0].added, result.error) == (0, None)
    assert "no new candles after 2019-04-15 02:00" in told.texts(events.Info)
    assert (path.read_bytes(), len(standin.pages)) == (before, asked)


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize(("first", "count"), [(1200, 100), (300, 1700)])
def test_a_gap_is_stepped_over_and_reported(standin, tmp_path, bounded, first, count):
    standin.bounded = bounded
    standin.remove("BTCUSDT", "1h", first, count)
    told = Told()
    market = fetch(standin, tmp_path, told).markets[0]
    assert in_file(market.path) == at_exchange(standin)
    after = f"{pd.Timestamp('2019-01-01') + pd.Timedelta(hours=first - 1):%Y-%m-%d %H:%M}"
    assert (market.missing, market.gaps) == (count, ((after, count),))
    assert f"{count:,} candles missing at the exchange" in told.texts(events.Warned)


def test_a_gap_between_two_calls_is_reported_as_well(standin, tmp_path):
    now = standin.now_ms
    standin.now_ms = now - 2000 * HOUR_MS
    fetch(standin, tmp_path)
    standin.now_ms = now
    standin.remove("BTCUSDT", "1h", 499, 7)
    assert fetch(standin, tmp_path).markets[0].missing == 7


@pytest.mark.parametrize("bounded", [False, True])
def test_a_market_that_ended_ends_the_file(standin, tmp_path, bounded):
    standin.bounded = bounded
    standin.remove("BTCUSDT", "1h", 400, 2100)
    market = fetch(standin, tmp_path).markets[0]
    assert (market.added, market.missing) == (400, 0)


def test_a_market_without_a_complete_candle_is_no_success(standin, tmp_path):
    result = fetch(standin, tmp_path, symbols=("ETH/BTC", "BTC/USDT"), since="2019-04-15T03:00")
    assert [market.last for market in result.markets] == [None, None]
    assert isinstance(result.error, DataError)
    assert "no complete 1h candle of ETH/BTC, BTC/USDT" in str(result.error)
    fetch(standin, tmp_path, since="2019-04-15T02:00")
    again = fetch(standin, tmp_path, symbols=("ETH/BTC", "BTC/USDT"), since="2019-04-15T03:00")
    assert "candle of ETH/BTC in" in str(again.error), "the other market has candles in its file"


def test_since_before_the_listing_starts_at_the_listing(standin, tmp_path):
    assert fetch(standin, tmp_path, since="2010-01-01").markets[0].first == "2019-01-01 00:00"


@pytest.mark.parametrize(
    ("since", "until", "first", "last"),
    [
        ("2019-01-02", "2019-01-03", "2019-01-02 00:00", "2019-01-02 23:00"),
        ("2019-01-02T00:30", "2019-01-02T03:30+00:00", "2019-01-02 01:00", "2019-01-02 03:00"),
        ("2019-01-02T02:00+02:00", "2019-01-02T01:00", "2019-01-02 00:00", "2019-01-02 00:00"),
    ],
)
def test_since_is_the_first_and_until_is_left_out(standin, tmp_path, since, until, first, last):
    market = fetch(standin, tmp_path, since=since, until=until).markets[0]
    assert (market.first, market.last) == (first, last)


def test_an_earlier_since_than_the_file_has_is_warned_of(standin, tmp_path):
    fetch(standin, tmp_path, since="2019-02-01")
    told = Told()
    fetch(standin, tmp_path, told, since="2019-01-10")
    assert "starts at 2019-02-01 00:00, but the exchange has candles since 2019-01-10 00:00" in told.texts(
        events.Warned
    )
    told = Told()
    fetch(standin, tmp_path / "other", since="2010-01-01")
    fetch(standin, tmp_path / "other", told, since="2010-01-01")
    assert told.texts(events.Warned) == "", "before the listing there is nothing to fetch"


@pytest.mark.parametrize("kind", ["drop", "cut", "silence", "503", "429", "418"])
def test_what_passes_is_waited_for(standin, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(exchange_module, "TIMEOUT_S", 0.5)
    standin.faults_after, standin.faults = 1, [Fault(kind, "1"), Fault(kind, "1")]
    told, started = Told(), time.monotonic()
    result = fetch(standin, tmp_path, told)
    assert result.error is None
    assert in_file(result.markets[0].path) == at_exchange(standin)
    warned = told.texts(events.Warned)
    assert warned.count("try ") == 2
    if kind in ("429", "418"):
        assert time.monotonic() - started >= 2, "Retry-After is kept to"
        assert f"({kind}); waiting 1 s" in warned


def test_a_retry_after_may_be_a_date(standin, tmp_path):
    from email.utils import formatdate

    standin.faults = [Fault("429", formatdate(time.time() + 2, usegmt=True))]
    started = time.monotonic()
    assert fetch(standin, tmp_path).error is None
    assert 0.9 <= time.monotonic() - started < 9, "neither at once nor the ten seconds of an unsaid pause"


def test_a_long_ban_is_not_awaited_and_fetched_candles_are_kept(standin, tmp_path):
    standin.faults_after, standin.faults = 1, [Fault("418", "3600")]
    result = fetch(standin, tmp_path)
    assert isinstance(result.error, UnavailableError)
    assert "banned" in str(result.error)
    assert "3,600 s" in str(result.error)
    assert len(in_file(result.markets[0].path)) == 1000
    assert len(standin.pages) == 2, "it is not asked again"


@pytest.mark.parametrize("kind", ["drop", "503", "page"])
def test_an_unavailable_exchange_leaves_a_file_that_can_be_continued(standin, tmp_path, kind):
    whole = fetch(standin, tmp_path / "whole").markets[0].path
    standin.log.clear()
    standin.faults_after, standin.faults = 2, [Fault(kind)] * 20
    result = fetch(standin, tmp_path, symbols=("BTC/USDT", "ETH/USDT"))
    assert isinstance(result.error, UnavailableError)
    assert result.error.exit_code == 5
    assert [market.symbol for market in result.markets] == ["BTC/USDT"], "the next one is not begun"
    assert len(in_file(result.markets[0].path)) == 2000
    assert len(standin.pages) <= 2 + retry.TRIES
    standin.faults.clear()
    assert fetch(standin, tmp_path).markets[0].path.read_bytes() == whole.read_bytes()


def test_an_unserved_location_is_reported_at_once(standin, tmp_path):
    standin.faults = [Fault("451")] * 5
    with pytest.raises(AccessError, match="451"):
        fetch(standin, tmp_path)
    assert len(standin.pages) == 1


def test_a_web_page_in_place_of_the_exchange_is_not_an_empty_market(standin, tmp_path):
    standin.captive = True
    with pytest.raises(UnavailableError, match="cannot be parsed"):
        fetch(standin, tmp_path)


def test_an_exchange_that_is_away_from_the_start(tmp_path):
    gone = make_standin(candles=10).start()
    gone.stop()
    with pytest.raises(UnavailableError, match="no connection"):
        fetch(gone, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_an_unreachable_proxy_is_reported_with_no_proxy_as_hint(standin, tmp_path, monkeypatch):
    gone = make_standin(candles=10).start()
    gone.stop()
    monkeypatch.setenv("http_proxy", gone.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(UnavailableError, match=f"not reachable through the proxy {gone.url}") as caught:
        fetch(standin, tmp_path / "raw")
    assert "NO_PROXY=127.0.0.1 " in caught.value.hint
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert fetch(standin, tmp_path / "raw").markets


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"exchange": "binanse"}, "use binance"),
        ({"symbols": ("BTC/USDX",)}, "BTC/USDT"),
        ({"symbols": ("BTC/USDX", "nothing")}, "BTC/USDT"),
        ({"symbols": ("nothing",)}, "write it like BTC/USDT"),
        ({"symbols": ("LUNA/USDT",)}, "it may be delisted: remove --symbol LUNA/USDT"),
        ({"interval": "45m"}, "30m or 1h"),
        ({"interval": "hourly"}, "write it like 1m"),
        ({"since": "yesteryear"}, "2019-01-01"),
        ({"since": "2019-03-01", "until": "2019-02-01"}, ""),
        ({"since": "2030-01-01"}, ""),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(standin, tmp_path, changes, hint):
    with pytest.raises(UsageError) as caught:
        fetch(standin, tmp_path / "raw", **changes)
    assert hint in caught.value.hint
    assert not standin.pages
    assert not (tmp_path / "raw").exists()


def test_several_symbols_in_any_spelling_get_a_file_each(standin, tmp_path):
    result = fetch(standin, tmp_path, symbols=("BTCUSDT", "eth-usdt", "BTC/USDT"))
    assert [market.path.name for market in result.markets] == ["BTCUSDT_1h.csv", "ETHUSDT_1h.csv"]
    assert in_file(result.markets[1].path) == at_exchange(standin, symbol="ETHUSDT")
    with pytest.raises(UsageError, match="cannot hold 2 symbols"):
        fetch(standin, tmp_path / "one.csv", symbols=("BTC/USDT", "ETH/USDT"))


def test_a_delisted_symbol_and_a_foreign_file_do_not_stop_the_other_symbols(standin, tmp_path):
    (tmp_path / "ETHUSDT_1h.csv").write_text("Date,Open\n2019-01-01,1\n")
    result = fetch(standin, tmp_path, symbols=("LUNA/USDT", "ETH/USDT", "BTC/USDT"))
    assert [market.symbol for market in result.markets] == ["BTC/USDT"]
    assert in_file(tmp_path / "BTCUSDT_1h.csv") == at_exchange(standin)
    assert {one.symbol: type(one.error) for one in result.failed} == {"LUNA/USDT": UsageError, "ETH/USDT": DataError}
    assert isinstance(result.error, UsageError)
    assert "2 of 3 symbols failed. LUNA/USDT: " in str(result.error)
    assert "ETH/USDT: " in str(result.error)


@pytest.mark.parametrize("link", ["symlink", "hardlink"])
def test_a_file_that_is_a_link_into_a_cache_is_replaced_and_the_cache_keeps_its_bytes(standin, tmp_path, link):
    now = standin.now_ms
    standin.now_ms = now - 600 * HOUR_MS
    path = fetch(standin, tmp_path / "raw").markets[0].path
    cached = tmp_path / "cached"
    path.replace(cached)
    cached.write_bytes(cached.read_bytes()[:-30])
    cached.chmod(0o444)
    path.symlink_to(cached) if link == "symlink" else path.hardlink_to(cached)
    kept = cached.read_bytes()
    standin.now_ms = now
    assert fetch(standin, tmp_path / "raw").error is None
    assert in_file(path) == at_exchange(standin)
    assert cached.read_bytes() == kept
    assert not path.is_symlink()


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everything")
def test_a_read_only_file_is_only_read_where_nothing_is_new(standin, tmp_path):
    path = fetch(standin, tmp_path).markets[0].path
    path.chmod(0o444)
    ordinary = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
    code = "from cryptoml.data.exchange.raw_file import read_extent; "
    code += "from cryptoml.data.exchange.source import Timeframe; "
    code += "from cryptoml.data.interval import parse_interval; from pathlib import Path; "
    code += (
        f"print(read_extent(Path({str(path)!r}), symbol='BTC/USDT', timeframe=Timeframe('1h', parse_interval('1h'))))"
    )
    done = subprocess.run([*ordinary, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "truncated=False" in done.stdout


def test_a_gzip_file_grows_as_well(standin, tmp_path):
    path, now = tmp_path / "btc.csv.gz", standin.now_ms
    standin.now_ms = now - 600 * HOUR_MS
    fetch(standin, path)
    standin.now_ms = now
    fetch(standin, path)
    assert in_file(path) == at_exchange(standin)
    assert len(read_candles(path).frame) == 2499


@pytest.mark.parametrize("output", ["x.parquet", "x.json", "x.gz"])
def test_forms_that_cannot_grow_are_refused(standin, tmp_path, output):
    with pytest.raises(UsageError, match="unsupported file format"):
        fetch(standin, tmp_path / output)


def test_a_torn_last_line_is_fetched_again(standin, tmp_path):
    path = fetch(standin, tmp_path).markets[0].path
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    told = Told()
    assert fetch(standin, tmp_path, told).markets[0].added == 1
    assert path.read_bytes() == whole
    assert "incomplete and is fetched again" in told.texts(events.Warned)


def test_files_of_something_else_are_left_alone(standin, tmp_path):
    path = tmp_path / "x.csv"
    fetch(standin, path, symbols=("ETH/USDT",), until="2019-01-05")
    lines = path.read_text().splitlines()
    others = {
        "ETHUSDT, not BTCUSDT": path.read_text(),
        "not 1h": "\n".join([lines[0], *lines[1::4]]).replace("ETHUSDT", "BTCUSDT") + "\n",
        "not 1h apart": "\n".join([lines[0], lines[1].replace(":00:00Z", ":30:00Z"), lines[3]]).replace("ETH", "BTC")
        + "\n",
        "line 4": "\n".join([*lines[:3], lines[1], ""]).replace("ETH", "BTC"),
        "not written by extract-data": "Date,Open,High,Low,Close\n2019-01-01,1,1,1,1\n2019-01-02,1,1,1,1",
    }
    for fact, text in others.items():
        path.write_text(text)
        with pytest.raises(DataError, match=fact):
            fetch(standin, path)
        assert path.read_text() == text


def test_two_extractions_of_one_file_exclude_each_other(standin, tmp_path):
    with FileLock(tmp_path / ".BTCUSDT_1h.csv.lock"), pytest.raises(UnavailableError, match="another extraction"):
        fetch(standin, tmp_path)
    assert fetch(standin, tmp_path).markets[0].added == 2499


def test_pages_reach_the_file_by_the_clock(standin, tmp_path, monkeypatch):
    sizes: list[int] = []
    path = tmp_path / "BTCUSDT_1h.csv"
    real = exchange_module.Exchange.page

    def page(self, *given, **named):
        sizes.append(len(in_file(path)) if path.exists() else 0)
        return real(self, *given, **named)

    monkeypatch.setattr(exchange_module.Exchange, "page", page)
    fetch(standin, tmp_path)
    assert sizes == [0, 1000, 1000], "the first at once, then none for a while"
    path.unlink()
    sizes.clear()
    monkeypatch.setattr(candle_file, "SAVE_EVERY_S", -1.0)
    fetch(standin, tmp_path)
    assert sizes == [0, 1000, 2000]


def test_an_unwritable_folder_is_reported(standin, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CryptomlError) as caught:
        fetch(standin, tmp_path / "file" / "raw")
    assert caught.value.exit_code in (4, 5, 7)


def test_progress_ends_where_the_candles_do(standin, tmp_path):
    told = Told()
    fetch(standin, tmp_path, told)
    (started,) = [event for event in told.heard if isinstance(event, events.StepStarted)]
    assert started.total == 2499
    assert sum(event.parts for event in told.heard if isinstance(event, events.StepAdvanced)) == 2499
    assert isinstance([event for event in told.heard if not isinstance(event, events.Info)][-1], events.StepFinished)
