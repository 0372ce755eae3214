"""`cryptoml extract-data`: streams, exit codes, signals, parallel extractions."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.exchange.server import Fault, make_standin, wait_until


@pytest.fixture
def standin():
    made = make_standin(candles=2500).start()
    yield made
    if made.hold is not None:
        made.hold.set()
    made.stop()


def run(project: Project, standin, *arguments: object):
    return project.run("extract-data", *arguments, environ={"CRYPTOML_EXCHANGE_URL": standin.url})


def started(project: Project, standin, *arguments: object) -> subprocess.Popen[str]:
    """Start an extraction that hangs at its third page, after writing the first one."""
    standin.hold = threading.Event()
    standin.asked.clear()
    process = subprocess.Popen(
        project.command("extract-data", *arguments),
        cwd=project.folder,
        env={**project.environ, "CRYPTOML_EXCHANGE_URL": standin.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: standin.asked.is_set() or process.poll() is not None)
    assert process.poll() is None, process.stdout and process.stdout.read()
    return process


def times(path: Path) -> list[str]:
    return [line.partition(",")[0] for line in path.read_text().splitlines()[1:]]


def test_paths_are_printed_last_and_a_second_call_adds_nothing(project, standin):
    flags = ("--exchange", "binance", "--symbol", "BTC/USDT", "--symbol", "ETH/USDT", "--interval", "1h")
    done = run(project, standin, *flags, "--since", "2019-01-01", "--until", "2019-02-01")
    raw = project.folder / "data" / "raw"
    assert (done.code, done.out.splitlines()) == (0, [str(raw / "BTCUSDT_1h.csv"), str(raw / "ETHUSDT_1h.csv")])
    assert "744 candles added" in done.err
    again = run(project, standin, *flags, "--until", "2019-02-01", "--json")
    assert again.code == 0
    assert again.out.count("\n") == 1
    document = again.json()
    assert document["failed"] == []
    assert document["markets"][0] == {
        "symbol": "BTC/USDT",
        "path": str(raw / "BTCUSDT_1h.csv"),
        "added": 0,
        "first": "2019-01-01 00:00",
        "last": "2019-01-31 23:00",
        "missing": 0,
        "gaps": [],
    }
    assert "no new candles" in again.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--symbol", "BTC/USDTT"), 2, "BTC/USDT"),
        (("--set", "extract.symbol=BTC/USDT"), 3, "did you mean symbols"),
    ],
)
def test_an_error_is_reported_in_two_lines(project, standin, arguments, code, words):
    done = run(project, standin, *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) <= 2


def test_an_insecure_url_is_a_config_error(project):
    done = project.run("extract-data", environ={"CRYPTOML_EXCHANGE_URL": "http://exchange.example"})
    assert done.code == 3
    assert "CRYPTOML_EXCHANGE_URL" in done.err


def test_a_killed_extraction_resumes_without_gaps_or_duplicates(project, standin):
    process = started(project, standin, "-o", "btc.csv")
    path = project.folder / "btc.csv"
    assert len(times(path)) == 1000
    beside = run(project, standin, "-o", "btc.csv")
    assert beside.code == 5
    assert "another extraction is writing this file" in beside.err
    process.kill()
    process.communicate()
    assert len(times(path)) == 1000
    # As a kill in the middle of a write leaves it.
    (project.folder / ".btc.csv.partial").write_text("timestamp,open\n2019-01-01T00")
    standin.hold.set()
    done = run(project, standin, "-o", "btc.csv", "--json")
    assert (done.code, done.json()["markets"][0]["added"]) == (0, 1499)
    assert times(path) == sorted(set(times(path)))
    assert len(times(path)) == 2499
    assert not list(project.folder.glob(".*.partial"))


def test_a_signal_ends_the_extraction_quickly_and_keeps_fetched_candles(project, standin):
    process = started(project, standin, "-o", "btc.csv")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=5)
    assert process.returncode == 143, out
    assert len(times(project.folder / "btc.csv")) == 2000, "the page in memory as well"


def test_an_unavailable_exchange_gives_exit_code_5_and_a_partial_result(project, standin):
    (project.folder / "my.yaml").write_text(
        "extract:\n  symbols: [ETH/BTC]\n  interval: 1h\n  since: 2019-01-02\n  exchange: binance\n"
    )
    standin.faults_after, standin.faults = 1, [Fault("418", "7200")]
    done = run(project, standin, "--config", "my.yaml", "-o", "here", "--json")
    assert done.code == 5
    assert "7,200 s" in done.envelope()["error"]["message"]
    document = done.json()
    (market,) = document["markets"]
    assert (market["path"], market["added"], market["first"]) == ("here/ETHBTC_1h.csv", 1000, "2019-01-02 00:00")
    assert "Hint: run the same command again" in done.err
