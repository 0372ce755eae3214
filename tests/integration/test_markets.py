"""One registered model per market: names, the market of the candles, crossing, ties, and the same model twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest

from cryptoml.config.schema import Config
from cryptoml.errors import CheckFailedError, UsageError
from cryptoml.registry.markets import (
    MARKET_TAG,
    Market,
    existing_name,
    market_names,
    market_of_tags,
    name_for,
    names_of,
)
from cryptoml.registry.registrar import _claim
from cryptoml.registry.versions import ensure_model, list_versions
from cryptoml.tracking.store.project_store import open_project_store
from cryptoml.tracking.store.store import Store, open_store
from cryptoml.workflows.predict import PredictRequest, predict
from cryptoml.workflows.promote import Promoted, PromoteRequest, promote, read_history
from cryptoml.workflows.register import RegisterRequest, register
from cryptoml.workflows.versions import versions
from tests.lab import Lab, config_of

BTC, ETH = Market("BTCUSDT", "1h", 1), Market("ETHUSDT", "1h", 1)
BTC_6 = Market("BTCUSDT", "1h", 6)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db") as opened:
        yield opened


def create(store: Store, pattern: str, *markets: Market, among_several: bool = False) -> list[str]:
    names = []
    for market in markets:
        names.append(name_for(store, pattern, market, among_several=among_several))
        ensure_model(store, names[-1], tags={MARKET_TAG: market.tag})
    return names


def test_the_first_market_has_the_plain_name_and_the_others_their_own(store: Store) -> None:
    assert create(store, "coins", BTC, ETH, BTC_6, BTC, ETH, BTC_6) == [
        "coins", "coins-ethusdt-1h", "coins-btcusdt-1h-h6", "coins", "coins-ethusdt-1h", "coins-btcusdt-1h-h6",
    ]  # fmt: skip


def test_of_several_markets_none_takes_the_plain_name_unless_it_has_it(store: Store) -> None:
    assert create(store, "many", BTC, ETH, among_several=True) == ["many-btcusdt-1h", "many-ethusdt-1h"]
    assert create(store, "more", BTC) + create(store, "more", BTC, ETH, among_several=True) == [
        "more", "more", "more-ethusdt-1h",
    ]  # fmt: skip


def test_a_pattern_of_the_user_names_each_market(store: Store) -> None:
    pattern = "{symbol}-{interval}-{horizon}"
    assert create(store, pattern, BTC, ETH, BTC_6) == ["btcusdt-1h-1", "ethusdt-1h-1", "btcusdt-1h-6"]
    # A pattern that does not tell two markets apart gets the rest of the market added.
    assert create(store, "model-of-{symbol}", BTC, BTC_6) == ["model-of-btcusdt", "model-of-btcusdt-btcusdt-1h-h6"]


def test_models_with_a_longer_name_are_not_of_the_pattern(store: Store) -> None:
    create(store, "short-longer", BTC)
    assert create(store, "short", BTC) == ["short"]
    assert [one.name for one in names_of(store, "short")] == ["short"]


def test_candles_lead_to_the_model_of_their_market(store: Store) -> None:
    create(store, "led", BTC, ETH, BTC_6)
    asked = {"interval": "1h", "horizon": 1}
    assert existing_name(store, "led", symbol="ETHUSDT", **asked) == "led-ethusdt-1h"
    assert existing_name(store, "led", symbol="BTCUSDT", **asked) == "led"
    assert existing_name(store, "led", symbol="BTCUSDT", interval="1h", horizon=6) == "led-btcusdt-1h-h6"
    # No model of this horizon: that of the market.
    assert existing_name(store, "led", symbol="ETHUSDT", interval="1h", horizon=24) == "led-ethusdt-1h"
    for symbol, interval in (("SOLUSDT", "1h"), ("BTCUSDT", "4h")):
        with pytest.raises(CheckFailedError, match="the registered models forecast BTCUSDT 1h, ETHUSDT 1h"):
            existing_name(store, "led", symbol=symbol, interval=interval, horizon=1)


def test_a_file_without_a_symbol_belongs_to_the_model_that_is_there(store: Store) -> None:
    tags = {"symbol": "UNKNOWN", "interval": "1h", "prediction_horizon": "1"}
    for first, second in ((BTC, Market("UNKNOWN", "1h", 1)), (Market("UNKNOWN", "1h", 1), BTC)):
        pattern = f"whose-{first.symbol.lower()}"
        claimed = [_claim(store, pattern, one, among_several=False) for one in (first, second)]
        assert claimed == [(pattern, True), (pattern, False)]
    assert market_of_tags(tags) == Market("UNKNOWN", "1h", 1)


def test_a_name_that_another_market_has_taken_is_refused_in_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(store, "taken", ETH)
    monkeypatch.setattr("cryptoml.registry.registrar.name_among", lambda *_, **__: "taken")
    with pytest.raises(CheckFailedError, match="is the model of ETHUSDT 1h 1, not of BTCUSDT 1h 1"):
        _claim(store, "taken", BTC, among_several=False)


def test_a_pool_forecasts_markets_without_a_model(store: Store) -> None:
    create(store, "pooled", BTC)
    create(store, "pooled", Market("POOL", "1h", 1), among_several=True)
    asked = {"interval": "1h", "horizon": 1}
    assert existing_name(store, "pooled", symbol="BTCUSDT", **asked) == "pooled"
    assert existing_name(store, "pooled", symbol="SOLUSDT", **asked) == "pooled-pool-1h"


@pytest.fixture
def config(request: pytest.FixtureRequest) -> Config:
    return config_of(request.node.name, gate={"min_skill": -1})


def enter(lab: Lab, config: Config, model: str, **more: object) -> Mapping[str, object]:
    return register(RegisterRequest(lab.settings, config, lab.runs[model], **more)).to_dict()  # type: ignore[arg-type]


def move(lab: Lab, config: Config, version: str, stage: str = "production", **more: object) -> Promoted:
    return promote(PromoteRequest(lab.settings, config, version, stage, reason="why", **more))  # type: ignore[arg-type]


@pytest.fixture
def both(lab: Lab, config: Config, tmp_path: Path) -> Path:
    """Register ridge and xgb for SIM; the store says that another model of the pattern is of OTHER. Its candles."""
    enter(lab, config, "ridge")
    enter(lab, config, "xgb")
    other = Market("OTHER", "1h", 1)
    with open_project_store(lab.settings) as store:
        ensure_model(store, market_names(config.registry.model_name, other)[1], tags={MARKET_TAG: other.tag})
    pd.read_csv(lab.data).assign(symbol="OTHER").to_csv(tmp_path / "other.csv", index=False)
    return tmp_path / "other.csv"


def test_the_version_is_that_of_the_market_of_the_candles(lab: Lab, config: Config, both: Path) -> None:
    name = config.registry.model_name
    assert move(lab, config, "v1").model_name == name
    assert predict(PredictRequest(lab.settings, config, stale_ok=True)).version == "1"
    assert predict(PredictRequest(lab.settings, config, "latest", stale_ok=True)).version == "2"
    assert predict(PredictRequest(lab.settings, config, f"{name}@production", stale_ok=True)).version == "1"
    with pytest.raises(UsageError, match=f"{name}-other-1h has no version in production"):
        predict(PredictRequest(lab.settings, config, data=both, stale_ok=True))
    with pytest.raises(UsageError, match=f"{name}-other-1h has no version 1"):
        move(lab, config, "v1", data=both)
    assert len(read_history(lab.settings, config)[0]) == 2
    with pytest.raises(UsageError, match=r"does not exist|no version"):
        move(lab, config, "nothing@v1")


def test_a_version_of_another_market_is_refused_and_that_is_recorded(lab: Lab, config: Config) -> None:
    """As in a registry of an earlier release, in which all markets shared one model."""
    enter(lab, config, "ridge")
    name = config.registry.model_name
    with open_project_store(lab.settings) as store:
        store.client.set_registered_model_tag(name, MARKET_TAG, "OTHER 1h 1")
    for stage in ("staging", "production"):
        with pytest.raises(CheckFailedError, match=f"SIM 1h, 1 ahead, but {name} is the model of OTHER 1h") as caught:
            move(lab, config, "v1", stage)
        assert "cryptoml register RUN" in caught.value.hint
    assert [entry.kind for entry in read_history(lab.settings, config)[0]] == ["refusal", "refusal"]
    # The way over: the run becomes a version of its own market.
    assert enter(lab, config, "ridge")["model_name"] == f"{name}-sim-1h"
    assert move(lab, config, "v1", "staging", force=True).stage == "staging"


def test_the_market_of_a_model_of_an_earlier_release_is_that_of_its_versions(lab: Lab, config: Config) -> None:
    enter(lab, config, "ridge")
    name = config.registry.model_name
    with open_project_store(lab.settings) as store:
        store.client.delete_registered_model_tag(name, MARKET_TAG)
        (found,) = names_of(store, name)
        assert found.market == Market("SIM", "1h", 1)
        assert name_for(store, name, Market("OTHER", "1h", 1)) == f"{name}-other-1h"
    enter(lab, config, "xgb")
    with open_project_store(lab.settings) as store:
        assert store.client.get_registered_model(name).tags[MARKET_TAG] == "SIM 1h 1"


def test_a_tie_keeps_the_champion(lab: Lab, config: Config) -> None:
    enter(lab, config, "ridge")
    enter(lab, config, "xgb")
    move(lab, config, "v1")
    heard: list[object] = []
    with pytest.raises(CheckFailedError, match=r"ties with v1 in production \(skill .* ± .* % against skill") as caught:
        promote(PromoteRequest(lab.settings, config, "v2", "production"), on_event=heard.append)
    assert "--set promotion.on_tie=replace" in caught.value.hint
    assert any("new to both: v2 skill" in str(one) and "v1 in production skill" in str(one) for one in heard)
    replaced = move(lab, config_of(config.registry.model_name, promotion={"on_tie": "replace"}), "v2")
    figures = replaced.entries[-1].metrics
    for of_model in ("champion", "candidate"):
        assert float(figures[f"{of_model}_skill_error"]) > 0
    gain = float(figures["candidate_skill"]) - float(figures["champion_skill"])
    assert figures["duel_skill_difference"] == pytest.approx(gain)
    assert float(figures["duel_skill_difference_error"]) > 0
    assert move(lab, config, "v1", force=True).stage == "production"


def test_the_same_data_config_and_model_is_the_same_version(lab: Lab, config: Config) -> None:
    first = enter(lab, config, "ridge")
    with open_project_store(lab.settings) as store:
        run = store.client.get_run(lab.runs["ridge"])
        copy = store.client.create_run(run.info.experiment_id, run_name="ridge_2026-01-01_777")
        for key, value in run.data.params.items():
            store.client.log_param(copy.info.run_id, key, value)
        for key, number in run.data.metrics.items():
            store.client.log_metric(copy.info.run_id, key, number)
        for key, value in run.data.tags.items():
            if not key.startswith("mlflow."):
                store.client.set_tag(copy.info.run_id, key, value)
        folder = run.info.artifact_uri.removeprefix("file://")
        store.client.log_artifacts(copy.info.run_id, f"{folder}/models", "models")
        store.client.log_artifacts(copy.info.run_id, f"{folder}/metadata", "metadata")
        store.client.set_terminated(copy.info.run_id)
    again = register(RegisterRequest(lab.settings, config, copy.info.run_id))
    with open_project_store(lab.settings) as store:
        # Other tests look for the best run of this training.
        store.client.delete_run(copy.info.run_id)
    assert (again.version, again.is_new) == (first["version"], False)
    assert any("the same data, config and model" in one for one in again.warnings)
    with open_project_store(lab.settings) as store:
        assert len(list_versions(store, config.registry.model_name)) == 1
    store_other = enter(lab, config, "xgb")
    assert store_other["version"] == "2"


def test_versions_lists_all_models_of_the_pattern(lab: Lab, config: Config, both: Path) -> None:
    move(lab, config, "v1")
    rows = versions(lab.settings, config)
    assert [(row.version, row.stage, row.market) for row in rows] == [
        ("2", "none", "SIM 1h, 1 ahead"), ("1", "production", "SIM 1h, 1 ahead"),
    ]  # fmt: skip
    assert rows[1].run_id == lab.runs["ridge"]
    assert 0.5 < rows[1].coverage < 1
