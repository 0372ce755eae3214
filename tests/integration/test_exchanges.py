"""Extraction through ccxt from six exchanges, each with its own paths, units, order, page size and errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cryptoml import events
from cryptoml.data.exchange import client, retry
from cryptoml.data.exchange.sources import SOURCES
from cryptoml.errors import AccessError, DataError, UnavailableError, UsageError
from tests.exchange.dialects import CANDLES, DIALECTS, MAINTENANCE, TOO_OFTEN
from tests.exchange.server import StandIn, make_standin
from tests.integration.test_extract import HOUR_MS, Told, at_exchange, fetch, in_file

NAMES = sorted(DIALECTS)
FIRST_MS = 1_546_300_800_000


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(retry, "DEFAULT_PAUSE_S", {429: 0.01, 418: 0.01})


@pytest.fixture(params=NAMES)
def exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, StandIn]]:
    """Yield the name and the stand-in of each; where this machine's clock is used, it is that of the stand-in."""
    made = make_standin(candles=700 if request.param == "kraken" else 1400)
    made.dialect = DIALECTS[request.param]
    made.start()
    monkeypatch.setattr(client, "time", SimpleNamespace(time=lambda: made.now_ms / 1000))
    if request.param == "coinbase":
        monkeypatch.setattr("ccxt.coinbase.seconds", staticmethod(lambda: made.now_ms // 1000))
    yield request.param, made
    made.stop()


def pages(standin: StandIn) -> list[dict[str, str]]:
    return [query for path, query in standin.log if any(part in path for part in CANDLES)]


def meets(standin: StandIn, answers: list[tuple[int, Any]], after: int = 0) -> None:
    """Let the requests for candles after the first ones meet these answers."""
    regular = standin.dialect
    assert regular is not None

    def answer(state: StandIn, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if any(part in path for part in CANDLES) and len(pages(state)) > after and answers:
            return answers.pop(0)
        return regular(state, path, query)

    standin.dialect = answer


def test_every_complete_candle_arrives_once(exchange: tuple[str, StandIn], tmp_path: Path) -> None:
    name, standin = exchange
    result = fetch(standin, tmp_path, exchange=name)
    assert result.error is None
    expected = at_exchange(standin)
    assert in_file(tmp_path / "BTCUSDT_1h.csv") == expected
    most = SOURCES[name].open(url=None, on_event=events.ignore).page_candles
    assert len(pages(standin)) <= len(expected) // most + 3


def test_a_continued_file_has_the_same_bytes(exchange: tuple[str, StandIn], tmp_path: Path) -> None:
    name, standin = exchange
    whole = fetch(standin, tmp_path / "whole", exchange=name).markets[0].path
    now = standin.now_ms
    for hours_ago in (600, 3, 0):
        standin.now_ms = now - hours_ago * HOUR_MS
        fetch(standin, tmp_path / "parts", exchange=name)
    assert (tmp_path / "parts" / "BTCUSDT_1h.csv").read_bytes() == whole.read_bytes()


def test_a_history_that_begins_later_and_a_gap_are_stepped_over(exchange: tuple[str, StandIn], tmp_path: Path) -> None:
    name, standin = exchange
    standin.remove("BTCUSDT", "1h", 0, 350)
    standin.remove("BTCUSDT", "1h", 100, 40)
    result = fetch(standin, tmp_path, exchange=name, until="2019-01-29")
    rows = [row for row in at_exchange(standin) if row[0] < FIRST_MS + 28 * 24 * HOUR_MS]
    assert in_file(tmp_path / "BTCUSDT_1h.csv") == rows
    assert result.markets[0].missing == 40


def test_unknown_markets_are_refused_with_the_nearest_names(exchange: tuple[str, StandIn], tmp_path: Path) -> None:
    name, standin = exchange
    with pytest.raises(UsageError, match=f"{name} has no market 'BTC/USDC'") as caught:
        fetch(standin, tmp_path, exchange=name, symbols=("BTC/USDC",))
    assert "BTC/USDT" in caught.value.hint
    assert not pages(standin)


def test_an_interval_that_it_does_not_offer_is_refused_before_any_request(
    exchange: tuple[str, StandIn], tmp_path: Path
) -> None:
    name, standin = exchange
    with pytest.raises(UsageError, match=f"{name} has no candles of 7m") as caught:
        fetch(standin, tmp_path, exchange=name, interval="7m")
    assert "did you mean" in caught.value.hint
    assert not standin.log


@pytest.mark.parametrize("answers", [TOO_OFTEN, MAINTENANCE], ids=["too often", "maintenance"])
def test_a_passing_refusal_is_waited_for(
    exchange: tuple[str, StandIn], answers: dict[str, tuple[int, Any]], tmp_path: Path
) -> None:
    name, standin = exchange
    meets(standin, [answers[name]] * 2)
    told = Told()
    result = fetch(standin, tmp_path, told, exchange=name)
    assert result.error is None
    assert in_file(tmp_path / "BTCUSDT_1h.csv")[:650] == at_exchange(standin)[:650]
    warned = told.texts(events.Warned)
    assert warned.count("waiting") == 2
    assert "no connection" not in warned
    assert ("too many requests" in warned) == (answers is TOO_OFTEN)


def test_a_lasting_refusal_keeps_what_was_fetched(exchange: tuple[str, StandIn], tmp_path: Path) -> None:
    name, standin = exchange
    meets(standin, [MAINTENANCE[name]] * 20, after=0 if name == "kraken" else 1)
    result = fetch(standin, tmp_path, exchange=name)
    assert isinstance(result.error, UnavailableError)
    assert "4 times" in result.error.fact
    path = tmp_path / "BTCUSDT_1h.csv"
    if name != "kraken":
        assert in_file(path) == at_exchange(standin)[: len(in_file(path))]
        assert len(in_file(path)) >= 299


@pytest.mark.parametrize("status", [403, 451])
def test_a_region_that_is_not_served_is_reported_at_once(
    exchange: tuple[str, StandIn], status: int, tmp_path: Path
) -> None:
    name, standin = exchange
    standin.dialect = lambda state, path, query: (status, "<html>not available in your country</html>")
    with pytest.raises(AccessError, match="does not serve this location") as caught:
        fetch(standin, tmp_path, exchange=name)
    assert caught.value.hint == "choose another --exchange"
    assert len(standin.log) == 1


def test_what_kraken_cannot_deliver_is_reported_before_any_candle_is_fetched(tmp_path: Path) -> None:
    standin = make_standin(candles=2000)
    standin.dialect = DIALECTS["kraken"]
    standin.start()
    try:
        with pytest.raises(
            UsageError, match="only the newest 720 candles, of 1h those since 2019-02-23 08:00"
        ) as caught:
            fetch(standin, tmp_path, exchange="kraken")
        assert not pages(standin)
        since = caught.value.hint.removeprefix("--since ").partition(",")[0]
        fetch(standin, tmp_path, exchange="kraken", since=since)
        path = tmp_path / "BTCUSDT_1h.csv"
        assert in_file(path) == at_exchange(standin)[-719:]
        # A file that ends too early would get a gap.
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:10]))
        before, asked = path.read_bytes(), len(pages(standin))
        standin.now_ms += 100 * HOUR_MS
        with pytest.raises(DataError, match="ends at 2019-02-23 16:00, but this exchange returns only"):
            fetch(standin, tmp_path, exchange="kraken")
        assert (path.read_bytes(), len(pages(standin))) == (before, asked)
    finally:
        standin.stop()
