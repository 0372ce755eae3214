"""Promotion on a real store: each rule, the way back, the ledger, and what a crash leaves."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cryptoml.config.schema import Config
from cryptoml.errors import CheckFailedError, DataError, UsageError
from cryptoml.registry import transitions
from cryptoml.registry.ledger import tag_name
from cryptoml.registry.transitions import Registry
from cryptoml.registry.versions import get_version
from cryptoml.tracking.store.project_store import open_project_store
from cryptoml.tracking.store.quiet import ignore_stage_warnings
from cryptoml.tracking.store.store import Store
from cryptoml.workflows.promote import Promoted, PromoteRequest, promote, read_history, rollback
from cryptoml.workflows.promotion.validation import Validator
from cryptoml.workflows.register import RegisterRequest, register
from tests.lab import Lab, config_of, turned_around


@pytest.fixture
def config(request: pytest.FixtureRequest, lab: Lab) -> Config:
    """A registered model of the test's own, with three versions: v1 ridge, v2 xgb, v3 gbm."""
    name = request.node.name.replace("[", "-").replace("]", "")
    found = config_of(name, gate={"min_skill": -1}, promotion={"on_tie": "replace"})
    for place, model in enumerate(("ridge", "xgb", "gbm"), 1):
        done = register(RegisterRequest(lab.settings, found, lab.runs[model]))
        assert (done.version, done.is_new) == (str(place), True)
    return found


@pytest.fixture
def store(lab: Lab) -> Iterator[Store]:
    with open_project_store(lab.settings) as opened:
        yield opened


def move(lab: Lab, config: Config, version: str, stage: str, *, reason: str | None = "why", force: bool = False,
         data: Path | None = None) -> Promoted:  # fmt: skip
    return promote(PromoteRequest(lab.settings, config, version, stage, reason=reason, force=force, data=data))


def places(store: Store, config: Config) -> dict[str, str]:
    """Alias -> version, with the stage field's word for each version."""
    model = store.client.get_registered_model(config.registry.model_name)
    return {alias: str(number) for alias, number in dict(model.aliases).items()}


def test_the_whole_way_and_back(lab: Lab, config: Config, store: Store) -> None:
    first = move(lab, config, "v1", "Production", reason="the first")
    assert [entry.to_stage for entry in first.entries] == ["staging", "production"]
    assert places(store, config) == {"production": "1"}
    second = move(lab, config, "2", "production")
    assert second.to_dict()["displaced"] == [{"version": "1", "stage": "archived"}]
    assert places(store, config) == {"production": "2"}
    name = config.registry.model_name
    for number, stage in (("1", "archived"), ("2", "production"), ("3", "none")):
        assert get_version(store, name, number).stage == stage
    said = json.loads(get_version(store, name, "1").tags["cryptoml.transition"])
    assert (said["to"], said["reason"]) == ("archived", "why")
    back = rollback(lab.settings, config, reason="it was worse")
    assert (back.version, back.from_stage, back.stage) == ("1", "archived", "production")
    assert places(store, config) == {"production": "1"}
    entries, faults = read_history(lab.settings, config)
    assert faults == ()
    assert [(e.kind, e.version, e.to_stage) for e in entries] == [
        ("promotion", "1", "staging"),
        ("promotion", "1", "production"),
        ("promotion", "2", "staging"),
        ("promotion", "2", "production"),
        ("rollback", "1", "production"),
    ]
    moved = entries[3]
    assert moved.displaced == ("1", "archived")
    assert moved.metrics["champion"] == "v1"
    assert isinstance(moved.metrics["validation_candles"], int)
    assert moved.metrics["duel_candles"] == moved.metrics["validation_candles"]
    assert moved.dataset_version.startswith("untracked:")
    assert moved.git_commit
    assert moved.who
    # Back and forth: the one before is now v2.
    assert rollback(lab.settings, config).version == "2"


def test_a_stage_it_is_in_already_changes_nothing(lab: Lab, config: Config) -> None:
    move(lab, config, "v1", "staging")
    again = move(lab, config, "v1", "staging")
    assert again.entries == ()
    assert again.to_dict()["changed"] is False
    assert len(read_history(lab.settings, config)[0]) == 1


def test_staging_holds_one_version_and_gives_it_back_to_none(lab: Lab, config: Config, store: Store) -> None:
    move(lab, config, "v1", "staging")
    done = move(lab, config, "v2", "staging")
    assert done.entries[0].displaced == ("1", "none")
    assert places(store, config) == {"staging": "2"}
    assert get_version(store, config.registry.model_name, "1").stage == "none"


def test_a_way_that_is_not_allowed_moves_nothing(lab: Lab, config: Config, store: Store) -> None:
    move(lab, config, "v1", "production")
    for stage in ("staging", "none"):
        with pytest.raises(CheckFailedError, match="in production cannot be moved to"):
            move(lab, config, "v1", stage, force=True)
    assert places(store, config) == {"production": "1"}
    archived = move(lab, config, "v1", "archived")
    assert "there is no version in production now" in archived.warnings
    assert places(store, config) == {}


def test_unknown_versions_models_and_reasons_that_are_too_long(lab: Lab, config: Config) -> None:
    with pytest.raises(UsageError, match="no version 9"):
        move(lab, config, "v9", "staging")
    with pytest.raises(UsageError, match="1,001 characters"):
        move(lab, config, "v1", "staging", reason="x" * 1001)
    with pytest.raises(UsageError, match=r"registered model .* does not exist|no version"):
        move(lab, config_of("absent"), "v1", "staging")
    strict = config_of(config.registry.model_name, promotion={"require_reason": "true"})
    with pytest.raises(UsageError, match="a reason is required"):
        move(lab, strict, "v1", "staging", reason=None)
    assert move(lab, config, "v1", "staging", reason=None).entries[0].reason == "none given"


def test_nothing_to_roll_back_to(lab: Lab, config: Config, store: Store) -> None:
    with pytest.raises(CheckFailedError, match="no other version was ever in production"):
        rollback(lab.settings, config)
    move(lab, config, "v1", "production")
    with pytest.raises(CheckFailedError, match="no other version was ever in production"):
        rollback(lab.settings, config)
    move(lab, config, "v3", "production")
    store.client.delete_model_version(config.registry.model_name, "1")
    with pytest.raises(CheckFailedError, match="v1 is no longer in the registry"):
        rollback(lab.settings, config)
    assert places(store, config) == {"production": "3"}


def test_candles_of_another_market_or_too_few_are_refused(lab: Lab, config: Config, tmp_path: Path) -> None:
    frame = pd.read_csv(lab.data)
    frame.tail(50).to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(DataError, match="50 candles"):
        move(lab, config, "v1", "production", data=tmp_path / "few.csv")
    frame.assign(symbol="OTHER").to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(CheckFailedError, match="contains OTHER candles"):
        move(lab, config, "v1", "production", data=tmp_path / "other.csv")
    entries, _ = read_history(lab.settings, config)
    assert [entry.kind for entry in entries] == ["refusal"]


def test_a_model_that_forecasts_nothing_new_is_refused_and_that_is_written_down(
    lab: Lab, config: Config, store: Store, tmp_path: Path
) -> None:
    frame = pd.read_csv(lab.data)
    frame.head(int(len(frame) * 0.5)).to_csv(tmp_path / "old.csv", index=False)
    with pytest.raises(CheckFailedError, match="trained on all of its candles"):
        move(lab, config, "v1", "production", data=tmp_path / "old.csv")
    entries, faults = read_history(lab.settings, config)
    assert [(e.kind, e.to_stage) for e in entries] == [("refusal", "production")]
    assert entries[0].metrics["validation_candles"] == 0
    assert faults == ()
    assert places(store, config) == {}
    forced = move(lab, config, "v1", "production", data=tmp_path / "old.csv", force=True)
    assert any(warning.startswith("forced: ") for warning in forced.warnings)
    assert forced.entries[-1].forced
    assert places(store, config) == {"production": "1"}


def test_a_candidate_worse_than_persistence_on_the_newest_candles_is_refused(
    lab: Lab, config: Config, store: Store
) -> None:
    with (
        turned_around(lab, store, "ridge"),
        pytest.raises(CheckFailedError, match="significantly worse than persistence"),
    ):
        move(lab, config, "v1", "production")
    assert places(store, config) == {}


def test_a_candidate_worse_than_the_champion_is_refused(lab: Lab, config: Config, store: Store) -> None:
    move(lab, config, "v1", "production")
    with (
        turned_around(lab, store, "xgb"),
        pytest.raises(CheckFailedError, match="significantly worse than v1 in production"),
    ):
        move(lab, config, "v2", "production")
    refusal = read_history(lab.settings, config)[0][-1]
    assert refusal.refused
    assert refusal.metrics["candidate_rmse"] > refusal.metrics["champion_rmse"]  # type: ignore[operator]
    assert places(store, config) == {"production": "1"}


def test_a_model_that_cannot_be_loaded_is_refused(lab: Lab, config: Config, store: Store) -> None:
    run_id = lab.runs["gbm"]
    stored = Path(store.client.get_run(run_id).info.artifact_uri.removeprefix("file://")) / "models" / "model"
    away = stored.with_name("away")
    kept = lab.settings.project_dir / ".cryptoml" / "models" / run_id
    if kept.exists():
        kept.rename(kept.with_name("away"))
    stored.rename(away)
    try:
        with pytest.raises(CheckFailedError, match="no loadable model"):
            move(lab, config, "v3", "production")
    finally:
        away.rename(stored)
    assert move(lab, config, "v3", "production").stage == "production"


def test_without_candles_there_is_no_validation(lab: Lab, config: Config, tmp_path: Path) -> None:
    empty = lab.settings.model_copy(update={"project_dir": tmp_path})
    # The store is the same; only the folder with the candles is another.
    empty = empty.model_copy(update={"tracking_uri": lab.settings.mlflow_uri()})
    with pytest.raises(DataError, match="no candles to validate on"):
        promote(PromoteRequest(empty, config, "v1", "production", reason="x"))


def test_external_transitions_and_altered_entries_are_reported(lab: Lab, config: Config, store: Store) -> None:
    move(lab, config, "v1", "production")
    name = config.registry.model_name
    store.client.set_registered_model_alias(name, "production", "3")
    _, faults = read_history(lab.settings, config)
    assert any("production is v3, but v1 in the ledger" in fault for fault in faults)
    store.client.set_registered_model_alias(name, "production", "1")
    with ignore_stage_warnings():
        store.client.transition_model_version_stage(name, "2", "Staging")
    _, faults = read_history(lab.settings, config)
    assert faults == ("v2 is in none, but its stage field is staging: it was changed in the UI",)
    with ignore_stage_warnings():
        store.client.transition_model_version_stage(name, "2", "None")
    assert read_history(lab.settings, config)[1] == ()
    tag = store.client.get_registered_model(name).tags[tag_name(1)]
    store.client.set_registered_model_tag(name, tag_name(1), tag.replace("why", "because"))
    _, faults = read_history(lab.settings, config)
    assert any("entry 1 was altered" in fault for fault in faults)
    assert any("the registry's entry was altered" in fault for fault in faults)


@pytest.mark.parametrize("survives", range(7))
def test_a_crash_between_two_steps_is_finished_by_the_next_call(
    lab: Lab, config: Config, store: Store, survives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th request that changes the registry is the last one; the next promotion finds everything put right."""
    move(lab, config, "v1", "production")
    move(lab, config, "v2", "staging")

    class Killed(BaseException):
        pass

    changing = ("set_registered_model_alias", "delete_registered_model_alias", "set_registered_model_tag",
                "set_model_version_tag", "transition_model_version_stage")  # fmt: skip
    client, count = type(store.client), 0

    def counted(original):  # type: ignore[no-untyped-def]
        def call(self, *arguments, **named):  # type: ignore[no-untyped-def]
            nonlocal count
            if count >= survives + 1:
                raise Killed
            count += 1
            return original(self, *arguments, **named)

        return call

    with monkeypatch.context() as patch:
        for method in changing:
            patch.setattr(client, method, counted(getattr(client, method)))
        with pytest.raises(Killed):
            move(lab, config, "v2", "production")
    # The first request wrote the entry; the alias came next, so exactly one is in production at every moment.
    in_place = places(store, config)["production"]
    assert in_place == ("1" if survives == 0 else "2")
    _, faults = read_history(lab.settings, config)
    assert any("interrupted" in fault for fault in faults)
    move(lab, config, "v3", "staging")
    entries, faults = read_history(lab.settings, config)
    assert faults == ()
    assert places(store, config) == {"production": "2", "staging": "3"}
    assert get_version(store, config.registry.model_name, "1").stage == "archived"
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))


def _promote_again_and_again(folder: str, name: str, version: str, rounds: int, barrier, outcomes) -> None:  # type: ignore[no-untyped-def]
    os.chdir(folder)
    from cryptoml.settings import load_settings

    settings, config = load_settings(), config_of(name, promotion={"on_tie": "replace"})
    for _ in range(rounds):
        barrier.wait()
        try:
            done = promote(PromoteRequest(settings, config, version, "production", reason=f"by {version}"))
            outcomes.put((version, "moved" if done.entries else "there"))
        except CheckFailedError as error:
            outcomes.put((version, str(error)))
        barrier.wait()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_processes_that_promote_at_once(lab: Lab, config: Config, store: Store) -> None:
    """After every round exactly one is in production, and the ledger tells every move of both."""
    rounds = 100 if os.environ.get("CRYPTOML_FULL") else 8
    context = multiprocessing.get_context("spawn")
    barrier, outcomes = context.Barrier(3), context.Queue()
    name = config.registry.model_name
    workers = [
        context.Process(
            target=_promote_again_and_again, args=(str(lab.project.folder), name, version, rounds, barrier, outcomes)
        )
        for version in ("1", "2")
    ]
    for worker in workers:
        worker.start()
    moved = 0
    try:
        for _ in range(rounds):
            barrier.wait(120)
            barrier.wait(120)
            found = dict(outcomes.get(timeout=30) for _ in range(2))
            assert set(found) == {"1", "2"}
            assert set(found.values()) <= {"moved", "there"}, found
            moved += list(found.values()).count("moved")
            assert places(store, config)["production"] in ("1", "2")
            stages = [get_version(store, name, number).stage for number in ("1", "2")]
            assert sorted(stages) == ["archived", "production"]
    finally:
        for worker in workers:
            worker.join(60)
            worker.kill()
    entries, faults = read_history(lab.settings, config)
    assert faults == ()
    promotions = [entry for entry in entries if entry.to_stage == "production"]
    assert len(promotions) == moved
    for before, after in itertools.pairwise(promotions):
        assert after.displaced == (before.version, "archived")
        assert after.version != before.version


def test_the_lock_of_a_registry_that_another_machine_left_is_seen_through(
    lab: Lab, config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a server the lock is a registered model; one that stands unchanged was left by the dead."""
    from cryptoml.registry import mutex

    monkeypatch.setattr(Store, "is_remote", property(lambda self: True))
    name = config.registry.model_name
    store.client.create_registered_model(f"{name}.lock")
    with mutex.registry_lock(store, name, wait_s=10, stale_s=0.5):
        assert store.client.get_registered_model(f"{name}.lock")
    assert not store.client.search_registered_models(f"name = '{name}.lock'")


def test_the_stage_field_is_not_the_truth(lab: Lab, config: Config, store: Store) -> None:
    registry = Registry(store, config.registry.model_name, lab.project.folder / "mirror.jsonl")
    assert registry.stage_of("1") == "none"
    with ignore_stage_warnings():
        store.client.transition_model_version_stage(config.registry.model_name, "1", "Production")
    assert Registry(store, config.registry.model_name, lab.project.folder / "m").stage_of("1") == "none"
    assert transitions.ALIASED == ("staging", "production")


def test_a_run_that_is_no_longer_finished_is_refused(lab: Lab, config: Config, store: Store) -> None:
    """Its status can change after it was registered: somebody resumed it, and it failed."""
    store.client.set_terminated(lab.runs["gbm"], "FAILED")
    try:
        with pytest.raises(CheckFailedError, match="is FAILED, not FINISHED"):
            move(lab, config, "v3", "staging")
        assert places(store, config) == {}
    finally:
        store.client.set_terminated(lab.runs["gbm"], "FINISHED")
    assert move(lab, config, "v3", "staging").stage == "staging"


def test_what_cannot_be_loaded_is_not_rolled_back_to(lab: Lab, config: Config, store: Store) -> None:
    move(lab, config, "v3", "production")
    move(lab, config, "v1", "production")
    kept = lab.settings.project_dir / ".cryptoml" / "models" / lab.runs["gbm"]
    stored = Path(store.client.get_run(lab.runs["gbm"]).info.artifact_uri.removeprefix("file://")) / "models"
    shutil.rmtree(kept)
    stored.rename(stored.with_name("away"))
    try:
        with pytest.raises(CheckFailedError, match="no loadable model"):
            rollback(lab.settings, config)
    finally:
        stored.with_name("away").rename(stored)
    assert places(store, config) == {"production": "1"}
    assert rollback(lab.settings, config).version == "3"


def test_a_champion_that_changes_meanwhile_is_met_too(
    lab: Lab, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody promotes v2 after v3 was compared with v1: v3 is compared again."""
    move(lab, config, "v1", "production")
    original, met = Validator.validate, []

    def interrupted(*arguments: Any) -> Any:
        found = original(*arguments)
        met.append(found.champion)
        if len(met) == 1:
            with monkeypatch.context() as patch:
                patch.setattr(Validator, "validate", original)
                move(lab, config, "v2", "production")
        return found

    monkeypatch.setattr(Validator, "validate", interrupted)
    done = move(lab, config, "v3", "production")
    assert met == ["1", "2"]
    assert done.entries[-1].metrics["champion"] == "v2"
    assert done.entries[-1].displaced == ("2", "archived")
