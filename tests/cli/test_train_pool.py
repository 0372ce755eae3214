"""`cryptoml train --pool`: one model for several markets, through registration, promotion, forecast and monitoring."""

from __future__ import annotations

import pytest

from tests.conftest import Done, Project, make_project

NAME = "crypto-price-predictor-pool-1h"
OF_POOL = {"CRYPTOML_REGISTRY__MODEL_NAME": NAME}
QUICK = ("--models", "ridge", "--set", "gate.min_skill=-1", "--set", "split.cross_validation_folds=3")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("pool"))
    for seed, symbol in enumerate(("AAAUSDT", "BBBUSDT", "NEWUSDT"), start=1):
        folder = "data" if symbol == "NEWUSDT" else "data/raw"
        market = ("--seed", seed, "--symbol", symbol, "--signal", 0.1, "--years", 0.3)
        made = project.run("sample-data", *market, "-o", f"{folder}/{symbol}_1h.csv")
        assert made.code == 0, made.err
    return project


@pytest.fixture(scope="module")
def trained(project: Project) -> Done:
    return project.run("train", "--pool", "--data", "data/raw", *QUICK, "--json")


def test_the_pool_is_scored_by_market_and_registered(trained: Done, project: Project):
    assert trained.code == 0, trained.err
    result = trained.json()
    assert (result["model_name"], result["version"]) == (NAME, "1")
    assert [market["symbol"] for market in result["markets"]] == ["AAAUSDT", "BBBUSDT"]
    assert result["dataset_version"].startswith("pool:")
    shown = project.run("train", "--pool", "--data", "data/raw", *QUICK)
    assert "the best model by market" in shown.out
    assert "BBBUSDT" in shown.out


def test_the_run_has_the_scores_of_each_market(trained: Done, project: Project):
    from mlflow import MlflowClient

    result = trained.json()
    run = MlflowClient(f"sqlite:///{project.folder / 'mlflow.db'}").get_run(result["best"]["run_id"])
    assert run.data.params["markets"] == "AAAUSDT,BBBUSDT"
    for market in result["markets"]:
        assert run.data.metrics[f"market_skill/{market['symbol']}"] == market["skill"]


def test_it_forecasts_its_markets_and_a_new_one(trained: Done, project: Project):
    own, new = "data/raw/AAAUSDT_1h.csv", "data/NEWUSDT_1h.csv"
    promoted = project.run("promote", "v1", "production", "--reason", "first", "--data", own, environ=OF_POOL)
    assert promoted.code == 0, promoted.err
    for data, is_new in ((own, False), (new, True)):
        command = ("--stale-ok", "--data", data, "--last", "200", "--log")
        done = project.run("predict", *command, "--json", environ=OF_POOL).json()
        assert done["symbol"] in data
        assert done["new_market"] is is_new
        assert done["logged"] == 200
        scored = project.run("monitor", "--data", data, "--json", environ=OF_POOL)
        assert scored.json()["scored"] == 199
    other = project.run("predict", "--stale-ok", "--data", new, environ=OF_POOL)
    assert "v1 was trained without NEWUSDT" in other.out


def test_its_run_is_registered_under_the_name_of_the_pool(trained: Done, project: Project):
    again = project.run("register", trained.json()["best"]["run_id"])
    assert again.code == 0, again.err
    assert f"{NAME} v1" in again.out


def test_models_of_a_pool_are_compared_on_all_markets(trained: Done, project: Project):
    done = project.run("compare", "--html", "compared.html", "--significance")
    assert done.code == 0, done.err
    assert (project.folder / "compared.html").stat().st_size > 100_000


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        (["data/raw/AAAUSDT_1h.csv"], 2, "a pool needs at least two markets"),
        (["data/raw/AAAUSDT_1h.csv", "no.csv"], 4, "no.csv"),
        (["data/raw/AAAUSDT_1h.csv", "copy.csv"], 2, "AAAUSDT: two of the files contain this market"),
    ],
)
def test_a_pool_that_cannot_be_trained_is_refused(files: list[str], code: int, said: str, project: Project):
    (project.folder / "copy.csv").write_bytes((project.folder / "data/raw/AAAUSDT_1h.csv").read_bytes())
    done = project.run("train", "--pool", "--data", *files, *QUICK)
    assert done.code == code, done.err
    assert said in done.err
