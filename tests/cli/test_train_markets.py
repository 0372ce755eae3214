"""`cryptoml train` of several markets: one training each, one table, one exit code."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.pause import Started
from tests.conftest import Done, Project, make_project

QUICK = ("--models", "ridge", "--set", "gate.min_skill=-1", "--set", "split.cross_validation_folds=3")


@pytest.fixture(scope="module")
def markets(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("markets"))
    for seed, symbol in enumerate(("AAAUSDT", "BBBUSDT"), start=1):
        file = f"data/raw/{symbol}_1h.csv"
        made = project.run(
            "sample-data", "--years", 0.3, "--signal", 0.1, "--seed", seed, "--symbol", symbol, "-o", file
        )
        assert made.code == 0, made.err
    lines = (project.folder / "data/raw/AAAUSDT_1h.csv").read_text().splitlines(keepends=True)
    short = [line.replace("AAAUSDT", "CCCUSDT") for line in lines[:50]]
    (project.folder / "data/raw/CCCUSDT_1h.csv").write_text("".join(short))
    return project


@pytest.fixture(scope="module")
def trained(markets: Project) -> Done:
    return markets.run("train", "--data", "data/raw", *QUICK, "--json")


def test_each_market_has_its_training_and_a_failing_one_stops_no_other(trained: Done):
    assert trained.code == 4, trained.err
    found = {Path(market["data"]).name[:3]: market for market in trained.json()["markets"]}
    assert {name: market["exit_code"] for name, market in found.items()} == {"AAA": 0, "BBB": 0, "CCC": 4}
    assert "candles" in found["CCC"]["error"]
    assert found["CCC"]["training"] is None
    for name in ("AAA", "BBB"):
        training = found[name]["training"]
        assert [model["status"] for model in training["models"]] == ["FINISHED", "FINISHED"]
        assert training["model_name"] == f"crypto-price-predictor-{name.lower()}usdt-1h"
        assert training["version"] == "1"
    assert found["AAA"]["training"]["training_id"] != found["BBB"]["training"]["training_id"]


def test_messages_and_error_name_the_market(trained: Done):
    assert "BBBUSDT ridge: 4/4" in trained.err
    assert trained.envelope()["error"]["message"].startswith("1 of 3 markets: ")


def test_runs_are_in_the_store_with_their_market(trained: Done, markets: Project):
    with closing(sqlite3.connect(markets.folder / "mlflow.db")) as store:
        rows = store.execute(
            "select r.status, p.value from runs r join params p on p.run_uuid = r.run_uuid and p.key = 'symbol'"
        ).fetchall()
    assert sorted(rows) == [("FINISHED", name) for name in ("AAAUSDT", "AAAUSDT", "BBBUSDT", "BBBUSDT")]


def test_a_market_gets_the_same_digits_as_alone(trained: Done, markets: Project):
    alone = markets.run("train", "--data", "data/raw/BBBUSDT_1h.csv", *QUICK, "--no-cache", "--json").json()
    together = next(one["training"] for one in trained.json()["markets"] if "BBB" in one["data"])
    for one, other in zip(alone["models"], together["models"], strict=True):
        assert one["metrics"].keys() == other["metrics"].keys()
        differ = {name for name, value in one["metrics"].items() if value != other["metrics"][name]}
        assert differ <= {"training_time_seconds", "prediction_latency_ms"}


@pytest.mark.parametrize(
    "words",
    [
        ("--symbols", "AAA/USDT,bbb-usdt"),
        ("--data", "data/raw/A*_1h.csv", "--data", "data/raw/BBBUSDT_1h.csv"),
        ("--data", "data/raw/AAAUSDT_1h.csv", "data/raw/BBBUSDT_1h.csv"),
    ],
)
def test_markets_are_chosen_by_symbol_pattern_or_as_a_shell_lists_them(words, trained: Done, markets: Project):
    done = markets.run("train", *words, *QUICK)
    assert done.code == 0, done.err
    rows = [line.split()[0] for line in done.out.splitlines() if "1h" in line and "ridge" in line]
    assert rows == ["AAAUSDT", "BBBUSDT"]


def test_a_market_without_a_file_and_a_folder_without_candles_are_usage_errors(markets: Project):
    done = markets.run("train", "--symbols", "AAA/USDT,DDD/USDT")
    assert done.code == 2
    assert "DDD/USDT: no candle file" in done.err
    assert "cryptoml extract-data --symbol DDD/USDT" in done.err
    (markets.folder / "empty").mkdir(exist_ok=True)
    assert markets.run("train", "--data", "empty").code == 2
    assert markets.run("train", "--data", "empty/*.csv").code == 2


def test_the_same_market_from_two_files_is_trained_once(markets: Project):
    copy = markets.folder / "AAAUSDT_copy_1h.csv"
    copy.write_bytes((markets.folder / "data/raw/AAAUSDT_1h.csv").read_bytes())
    done = markets.run("train", "--data", "data/raw/AAAUSDT_1h.csv", "--data", copy, *QUICK)
    assert done.code == 2
    assert "these are candles of AAAUSDT 1h, as in data/raw/AAAUSDT_1h.csv" in done.err


def test_a_signal_ends_the_runs_of_all_markets_as_killed(tmp_path, trained: Done, markets: Project):
    project = make_project(tmp_path)
    for name in ("AAAUSDT", "BBBUSDT"):
        (project.folder / f"{name}_1h.csv").write_bytes((markets.folder / f"data/raw/{name}_1h.csv").read_bytes())
    slow = ("--models", "rf", "--set", "models.rf.n_estimators=5000", "--set", "models.rf.implementation=sklearn")
    # With many workers, both markets start at once.
    command = ("train", "--data", "AAAUSDT_1h.csv", "BBBUSDT_1h.csv", *slow)
    with Started(project, *command, CRYPTOML_WORKERS="8") as training:
        training.wait_for("BBBUSDT persistence: 1/6")
        training.end(signal.SIGTERM)
    assert training.code == 128 + signal.SIGTERM, training.seen
    assert project.run("sync").code == 0
    with closing(sqlite3.connect(project.folder / "mlflow.db")) as store:
        statuses = [status for (status,) in store.execute("select status from runs")]
    assert statuses.count("KILLED") >= 2
    assert set(statuses) <= {"KILLED", "FINISHED"}
    assert len(statuses) == 4
