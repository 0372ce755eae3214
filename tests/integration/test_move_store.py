"""A store copied to another: everything arrives, once, whatever interrupts the way."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from cryptoml.errors import AccessError, ConfigError, UnavailableError, UsageError
from cryptoml.events import Event, StepAdvanced, StepStarted
from cryptoml.registry.transitions import Move, check_history, open_registry
from cryptoml.registry.versions import list_versions, register_version
from cryptoml.settings import SIGNERS, Settings
from cryptoml.tracking.journal.duplicate_runs import DUPLICATE_TAG, RUN_KEY_TAG
from cryptoml.tracking.journal.journal import Journal
from cryptoml.tracking.moving.export import MOVED_FROM_TAG
from cryptoml.tracking.moving.local_runs import local_runs_note, local_store_with_runs
from cryptoml.tracking.moving.results import MoveResult
from cryptoml.tracking.store.credentials import CREDENTIALS, User, as_user
from cryptoml.tracking.store.store import Store, open_store
from cryptoml.workflows.move_store import MoveRequest, move_store
from tests.conftest import Hub
from tests.old_store import OldStore, contents, files_of, make_old_store, registered

NOT_RUNNING = 7
NAMES = {"child", "long silent", "sweep", *(f"ridge_2024-11-27_{number:03d}" for number in range(1, 5))}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> OldStore:
    """The source; no test changes it."""
    return make_old_store(tmp_path_factory.mktemp("old"), "coins")


@pytest.fixture
def new(tmp_path: Path) -> Settings:
    """A project with another SQLite store."""
    (tmp_path / "new" / ".cryptoml").mkdir(parents=True)
    return settings_for(tmp_path / "new", f"sqlite:///{tmp_path / 'new' / 'other.db'}")


def settings_for(folder: Path, uri: str, **more: Any) -> Settings:
    return Settings(_env_file=None, project_dir=folder, tracking_uri=uri, experiment_name="coins", **more)


def move(settings: Settings, old: OldStore, **more: Any) -> MoveResult:
    return move_store(MoveRequest(settings, old.address, **more))


def target_of(settings: Settings) -> Store:
    user, password = settings.mlflow_credentials() or (None, None)
    return open_store(settings.mlflow_uri(), timeout_s=20, username=user, password=password)


def everything(store: Store, old: OldStore, folder: Path) -> dict[str, Any]:
    runs = contents(store, old.experiment, folder)
    runs.pop("still running", None)
    silent = runs["long silent"]
    silent.pop("status"), silent.pop("times")
    return {"runs": runs, "model": registered(store, old.model)}


def same_as_source(settings: Settings, old: OldStore, tmp_path: Path) -> None:
    with open_store(old.address) as source:
        expected = everything(source, old, tmp_path / "expected")
    with target_of(settings) as target:
        found = everything(target, old, tmp_path / "found")
        mirror = settings.project_dir / ".cryptoml" / "registry" / f"{old.model}.jsonl"
        ledger, faults = check_history(target, old.model, mirror)
    assert set(found["runs"]) == NAMES
    assert found == expected
    assert (len(ledger.entries), faults) == (5, ())
    shutil.rmtree(tmp_path / "expected"), shutil.rmtree(tmp_path / "found")


def digest(old: OldStore) -> str:
    return hashlib.sha256((old.folder / "mlflow.db").read_bytes()).hexdigest()


def test_everything_arrives_and_the_source_is_unchanged(old: OldStore, new: Settings, tmp_path: Path) -> None:
    before = digest(old)
    heard: list[Event] = []
    result = move_store(MoveRequest(new, old.address), on_event=heard.append)
    assert result.error is None
    assert (result.exit_code, len(result.runs), result.there) == (0, NOT_RUNNING, 0)
    assert result.totals() == {
        "runs": 7, "metrics": 4 * 7 + 1, "artifacts": 12, "bytes": sum(run.size for run in result.runs), "versions": 2,
        "aliases": 2, "ledger_entries": 5,
    }  # fmt: skip
    assert result.skipped == ("still running has not ended and was active in the last 24 hours; run this command again "
                              "after it has ended",)  # fmt: skip
    assert StepStarted("copy runs", 8) in heard
    assert sum(isinstance(event, StepAdvanced) for event in heard) == 9
    same_as_source(new, old, tmp_path)
    with target_of(new) as target:
        runs = {run.info.run_name: run for run in target.client.search_runs([target.experiment_id("coins")])}
        assert runs["long silent"].info.status == "FAILED"
        assert runs["long silent"].info.end_time == runs["long silent"].info.start_time + 24 * 3600 * 1000
        assert target.client.get_experiment_by_name("coins").tags["mlflow.note.content"] == "about this experiment"
        assert (
            runs["sweep"]
            .data.tags["cryptoml.moved_from"]
            .endswith(next(run.source_run_id for run in result.runs if run.run_name == "sweep"))
        )
        # The number that v2 had is never given again: the ledger speaks of another model.
        again = register_version(target, run_id=runs["ridge_2024-11-27_004"].info.run_id, model_name=old.model)
        assert again.version == "4"
    assert digest(old) == before
    assert list((new.project_dir / ".cryptoml" / "moving").glob("work-*")) == []


@pytest.mark.parametrize("mode", ["full", "legacy"])
def test_everything_arrives_at_a_server(old: OldStore, hub: Hub, mode: Any, tmp_path: Path) -> None:
    model = f"at-{hub.slug.rpartition('-')[2]}"
    mine = make_old_store(tmp_path / "old", model)
    settings = settings_for(
        hub.folder, f"{hub.url}.mlflow", tracking_username=hub.standin.state.owner, tracking_password=hub.token,
        store_timeout_s=20,
    ).model_copy(update={"experiment_name": model})  # fmt: skip
    hub.standin.state.set_mode(mode)
    result = move(settings, mine)
    assert (result.error, len(result.runs)) == (None, NOT_RUNNING)
    same_as_source(settings, mine, tmp_path)
    again = move(settings, mine)
    assert (again.there, again.runs, again.exit_code) == (NOT_RUNNING, (), 0)
    # And from the server to a laptop, with the credentials of the source alone.
    back = settings_for(
        tmp_path, f"sqlite:///{tmp_path / 'back.db'}", source_username=hub.token, source_password=hub.token,
        store_timeout_s=20,
    ).model_copy(update={"experiment_name": model})  # fmt: skip
    assert move_store(MoveRequest(back, f"{hub.url}.mlflow")).error is None
    assert not [name for name in os.environ if name.startswith("MLFLOW_TRACKING")]
    same_as_source(back, mine, tmp_path)
    # All of them had this way round: the old store has nothing new for the laptop.
    assert move(back, mine).there == NOT_RUNNING


def test_a_second_and_a_third_time_there_is_nothing_to_copy(old: OldStore, new: Settings, tmp_path: Path) -> None:
    move(new, old)
    for lost in ("", "notes.json"):
        if lost:
            (new.project_dir / ".cryptoml" / "moving" / lost).unlink()
        result = move(new, old)
        assert (result.runs, result.there) == ((), NOT_RUNNING)
        assert (result.models[0].versions, result.models[0].ledger) == ({}, "unchanged")
        same_as_source(new, old, tmp_path)


def test_later_changes_in_the_target_are_not_undone(old: OldStore, new: Settings) -> None:
    move(new, old)
    mirror = new.project_dir / ".cryptoml" / "registry" / f"{old.model}.jsonl"
    with target_of(new) as target:
        with open_registry(target, old.model, mirror) as registry:
            registry.move(Move("1", "staging", "again", "Bob"))
            registry.move(Move("1", "production", "again", "Bob"))
        run = next(run for run in target.client.search_runs([target.experiment_id("coins")])
                   if run.info.run_name == "sweep")  # fmt: skip
        target.client.delete_run(run.info.run_id)
        before = registered(target, old.model)
    assert move(new, old).there == NOT_RUNNING
    with target_of(new) as target:
        assert registered(target, old.model) == before
        ledger, faults = check_history(target, old.model, mirror)
        assert (len(ledger.entries), faults) == (7, ())
        names = [one.info.run_name for one in target.client.search_runs([target.experiment_id("coins")])]
        assert len(names) == NOT_RUNNING - 1


class Broken(Exception):
    """The process dies here."""


WRITES = (
    "create_run", "log_batch", "set_terminated", "log_inputs", "create_registered_model",
    "create_model_version", "delete_model_version", "set_registered_model_tag", "set_registered_model_alias",
)  # fmt: skip


@pytest.mark.parametrize(("nth", "after"), [(4, False), (3, True)], ids=["before", "after"])
def test_a_move_that_dies_again_and_again_arrives_in_the_end(
    old: OldStore, new: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int, after: bool
) -> None:
    """Every nth write ends the process, before or after it is carried out."""
    from mlflow import MlflowClient

    calls = 0

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def die(*given: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            dead = calls % nth == 0
            result = original(*given, **named) if after or not dead else None
            if dead:
                raise Broken
            return result

        return die

    for write in WRITES:
        monkeypatch.setattr(MlflowClient, write, dying(getattr(MlflowClient, write)))
    attempts = 0
    result = None
    while result is None and attempts < 60:
        attempts += 1
        with suppress(Broken):
            result = move(new, old)
    monkeypatch.undo()
    assert result is not None
    assert attempts > 10
    assert result.error is None
    assert len(result.runs) + result.there == NOT_RUNNING
    same_as_source(new, old, tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from tests.integration.test_move_store import settings_for
from cryptoml.workflows.move_store import MoveRequest, move_store
original, calls = LocalArtifactRepository.log_artifact, []
def die(*given, **named):
    original(*given, **named)
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
LocalArtifactRepository.log_artifact = die
move_store(MoveRequest(settings_for(Path(sys.argv[1]), sys.argv[2]), sys.argv[3]))
"""


def test_after_kill_9_in_the_middle_nothing_is_doubled(old: OldStore, new: Settings, tmp_path: Path) -> None:
    arguments = [str(new.project_dir), new.mlflow_uri(), old.address]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, cwd=root)
    assert done.returncode == -signal.SIGKILL
    assert move(new, old).error is None
    same_as_source(new, old, tmp_path)
    assert list((new.project_dir / ".cryptoml" / "moving").glob("work-*")) == []


def test_a_server_failing_midway_is_reported_and_the_move_resumes(hub: Hub, tmp_path: Path) -> None:
    name = f"away-{hub.slug.rpartition('-')[2]}"
    mine = make_old_store(tmp_path / "old", name)
    settings = settings_for(
        hub.folder, f"{hub.url}.mlflow", tracking_username=hub.standin.state.owner, tracking_password=hub.token,
        store_timeout_s=20,
    ).model_copy(update={"experiment_name": name})  # fmt: skip
    state = hub.standin.state
    for first in (25, 60):
        state.down_from = first
        state.set_mode("down-at")
        result = move(settings, mine)
        assert isinstance(result.error, UnavailableError)
        assert result.exit_code == 5
        assert f"cryptoml sync --from {mine.address}" in result.error.hint
    state.set_mode("full")
    assert move(settings, mine).error is None
    same_as_source(settings, mine, tmp_path)


def test_a_dry_run_shows_what_would_be_copied_and_changes_nothing(old: OldStore, new: Settings) -> None:
    result = move(new, old, dry_run=True)
    assert not (new.project_dir / "other.db").exists()
    copied = move(new, old)
    assert result.totals() == copied.totals()
    assert [run.run_name for run in result.runs] == [run.run_name for run in copied.runs]
    assert result.skipped == copied.skipped
    before = (new.project_dir / "other.db").read_bytes()
    again = move(new, old, dry_run=True)
    assert (again.runs, again.there, again.models[0].versions) == ((), NOT_RUNNING, {})
    assert (new.project_dir / "other.db").read_bytes() == before


def test_a_dry_run_writes_nothing_to_a_server(old: OldStore, hub: Hub) -> None:
    """Not even the tag that proves the right to write."""
    name = f"dry-{hub.slug.rpartition('-')[2]}"
    settings = settings_for(
        hub.folder, f"{hub.url}.mlflow", tracking_username=hub.standin.state.owner, tracking_password=hub.token,
        store_timeout_s=20,
    ).model_copy(update={"experiment_name": name})  # fmt: skip
    with target_of(settings) as target:
        identifier = target.experiment_id(name)
        result = move(settings, old, experiments=("coins",), dry_run=True)
        assert (len(result.runs), result.error) == (NOT_RUNNING, None)
        assert "cryptoml.last_write" not in target.client.get_experiment(identifier).tags


def test_a_target_with_versions_of_its_own_numbers_on_and_keeps_its_ledger(
    old: OldStore, new: Settings, tmp_path: Path
) -> None:
    mirror = new.project_dir / ".cryptoml" / "registry" / f"{old.model}.jsonl"
    other = make_old_store(tmp_path / "other", "other")
    model = old.model
    with target_of(new) as target:
        move(new, OldStore(other.folder, "other", model), experiments=("other",))
        run_id = target.client.search_runs([target.experiment_id("other")], "run_name = 'ridge_2024-11-27_001'")[
            0
        ].info.run_id
        register_version(target, run_id=run_id, model_name=model)
        with open_registry(target, model, mirror) as registry:
            registry.move(Move("1", "staging", "mine", "Bob"))
            registry.move(Move("1", "production", "mine", "Bob"))
        result = move(new, old)
        assert result.error is None
        moved = next(one for one in result.models if one.name == model)
        assert moved.versions == {"1": "2", "3": "3"}
        assert moved.ledger == "aside"
        assert moved.aliases == {"shadow": "2"}
        assert any("production remains v1" in note for note in moved.notes)
        ledger, faults = check_history(target, model, mirror)
        assert ([entry.who for entry in ledger.entries], faults) == (["Bob", "Bob"], ())
        tags = target.client.get_registered_model(model).tags
        aside = sorted(key for key in tags if key.startswith("cryptoml.moved-ledger."))
        assert len(aside) == 5
        assert json.loads(tags[aside[0]])["reason"] == "v1 to staging"
        by_number = {one.version: one for one in list_versions(target, model)}
        assert by_number["2"].tags["cryptoml.moved_from"].endswith("/1")
        assert by_number["2"].tags["cryptoml.stage"] == "archived"
        assert by_number["3"].stage == "none"
    again = move(new, old)
    assert next(one for one in again.models if one.name == model).versions == {}


def test_a_name_that_another_run_has_is_changed_and_kept_in_a_tag(old: OldStore, new: Settings, tmp_path: Path) -> None:
    other = make_old_store(tmp_path / "other", "coins")
    move(new, other)
    result = move(new, OldStore(old.folder, "coins", old.model))
    assert (result.error, len(result.runs)) == (None, NOT_RUNNING)
    with target_of(new) as target:
        runs = target.client.search_runs([target.experiment_id("coins")])
        assert len(runs) == 2 * NOT_RUNNING
        names = {run.data.tags["cryptoml.moved_name"]: run.info.run_name for run in runs
                 if "cryptoml.moved_name" in run.data.tags}  # fmt: skip
        assert names["ridge_2024-11-27_001"] == "ridge_2024-11-27_005"


def copy_of(old: OldStore, folder: Path) -> OldStore:
    """The store on another machine: only its database and what is beside it, all at another place."""
    folder.mkdir()
    with (
        closing(sqlite3.connect(old.folder / "mlflow.db")) as source,
        closing(sqlite3.connect(folder / "mlflow.db")) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    return OldStore(folder, old.experiment, old.model)


def test_artifacts_of_a_store_that_was_moved_are_found_beside_it(new: Settings, tmp_path: Path) -> None:
    first = make_old_store(tmp_path / "first", "coins")
    moved = copy_of(first, tmp_path / "second")
    (first.folder / "mlartifacts").rename(tmp_path / "hidden")
    result = move(new, moved)
    assert result.exit_code == 6
    assert sorted(result.without_artifacts) == [f"ridge_2024-11-27_{number:03d}" for number in range(1, 5)]
    assert (len(result.runs), result.totals()["versions"]) == (NOT_RUNNING, 2)
    # They are still named the next time, and copied once they are beside the database.
    again = move(new, moved)
    assert (again.exit_code, again.there, len(again.without_artifacts)) == (6, NOT_RUNNING, 4)
    (tmp_path / "hidden").rename(moved.folder / "mlartifacts")
    found = move(new, moved)
    assert (found.exit_code, len(found.runs), found.totals()["artifacts"]) == (0, 4, 12)
    (moved.folder / "mlartifacts").rename(first.folder / "mlartifacts")
    same_as_source(new, first, tmp_path)


def test_an_older_schema_is_migrated_in_a_copy_only(old: OldStore, new: Settings, tmp_path: Path) -> None:
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config

    aged = copy_of(old, tmp_path / "aged")
    shutil.copytree(old.folder / "mlartifacts", aged.folder / "mlartifacts")
    config = _get_alembic_config(aged.address)
    command.downgrade(config, "-1")
    before = digest(aged)
    assert move(new, aged).error is None
    assert digest(aged) == before
    assert sorted(path.name for path in aged.folder.iterdir()) == ["mlartifacts", "mlflow.db"]
    same_as_source(new, old, tmp_path)


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("sqlite:///nosuch.db", UsageError, "nosuch.db: the file does not exist"),
        ("sqlite:///empty.db", UsageError, "empty.db: the file is empty"),
        ("sqlite:///text.db", ConfigError, "text.db: is not a database"),
        ("sqlite:///plain.db", ConfigError, "plain.db: is not an MLflow database"),
        ("mlflow.db", UsageError, "from this kind of store is not supported"),
        ("sqlite:///other.db", UsageError, "is the current store"),
        ("http://[abc", UsageError, "invalid address"),
        ("http://host:port", UsageError, "invalid address"),
        ("http://me:secret@example.org", UsageError, "contains a user name or password"),
        ("https://ada:pa55@[bad", UsageError, "invalid address"),
    ],
)
def test_a_source_that_cannot_be_one_is_refused(new: Settings, address: str, error: Any, words: str) -> None:
    folder = new.project_dir
    (folder / "empty.db").touch()
    (folder / "text.db").write_text("no database\n" * 100)
    with sqlite3.connect(folder / "plain.db") as database:
        database.execute("CREATE TABLE t (x)")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(error, match=words) as told:
        move_store(MoveRequest(new, address))
    assert told.value.hint
    assert "secret" not in str(told.value)
    made = {path.name for path in folder.iterdir()} - set(before)
    if "does not exist" in words or "is empty" in words:
        assert made == set()
    assert "nosuch.db" not in made
    assert (folder / "text.db").read_text() == "no database\n" * 100


def test_a_locked_source_is_given_up_after_the_time_limit(old: OldStore, new: Settings, tmp_path: Path) -> None:
    mine = copy_of(old, tmp_path / "locked")
    with closing(sqlite3.connect(mine.folder / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnavailableError, match="locked by another program"):
            move(new.model_copy(update={"store_timeout_s": 0.5}), mine)


def test_a_deleted_duplicate_in_the_target_does_not_stand_for_its_run(old: OldStore, new: Settings) -> None:
    move(new, old)
    with target_of(new) as target:
        version = list_versions(target, old.model)[0]
        kept = target.client.get_run(version.run_id)
        tags = {key: kept.data.tags[key] for key in (RUN_KEY_TAG, MOVED_FROM_TAG)} | {DUPLICATE_TAG: version.run_id}
        start = kept.info.start_time - 1
        extra = target.client.create_run(kept.info.experiment_id, start_time=start, tags=tags)
        target.client.delete_run(extra.info.run_id)
        before = registered(target, old.model)
        result = move(new, old)
        assert (result.error, result.there, result.models[0].versions) == (None, NOT_RUNNING, {})
        assert registered(target, old.model) == before


@pytest.mark.parametrize("user", [None, "me"])
def test_mlflows_credentials_file_is_not_for_another_server(new: Settings, user: str | None) -> None:
    file = Path("~/.mlflow/credentials").expanduser()
    file.parent.mkdir(parents=True)
    file.write_text("[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = secret\n")
    # Nothing listens at this port: a request would end with UnavailableError.
    request = MoveRequest(new.model_copy(update={"source_username": user}), "http://127.0.0.1:9")
    with pytest.raises(AccessError, match="Nothing was sent"):
        move_store(request)


def test_no_signer_of_the_store_in_use_signs_requests_to_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CREDENTIALS, *SIGNERS):
        monkeypatch.setenv(name, "x")
    with as_user(User("me", "secret")):
        inside = {name: os.environ[name] for name in (*CREDENTIALS, *SIGNERS) if name in os.environ}
    assert inside == {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "secret"}
    assert {os.environ[name] for name in (*CREDENTIALS, *SIGNERS)} == {"x"}


def test_the_store_in_use_under_another_address_is_refused(old: OldStore, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(old.folder)
    settings = settings_for(tmp_path, f"sqlite:///{linked / 'mlflow.db'}")
    with pytest.raises(UsageError, match="is the current store"):
        move(settings, old)
    twin = copy_of(old, tmp_path / "twin")
    with pytest.raises(UsageError, match="is the current store"):
        move(settings_for(tmp_path, twin.address), old)


def test_experiments_are_chosen_by_name(old: OldStore, new: Settings) -> None:
    with pytest.raises(UsageError, match="experiment nosuch not found"):
        move(new, old, experiments=("nosuch",))
    elsewhere = new.model_copy(update={"experiment_name": "mine"})
    assert move(elsewhere, old, all_experiments=True).totals()["runs"] == NOT_RUNNING
    assert move(elsewhere, old, experiments=("coins",)).there == NOT_RUNNING


def test_a_run_whose_process_lives_is_left_to_it(new: Settings, tmp_path: Path) -> None:
    from cryptoml.tracking.journal.deliver import deliver

    mine = OldStore(new.project_dir, "coins", "none")
    run = Journal(new.project_dir / ".cryptoml" / "journal").open_run(
        training_id="t", experiment="coins", run_name="n", start_time_ms=1
    )
    with open_store(mine.address) as store:
        deliver(run.entry, store)
        result = move(new, mine)
        assert (result.runs, result.skipped) == ((), ("n is still running; run this command again after it has ended",))
        run.log_metrics({"m": 1.0})
        run.end("FINISHED")
        deliver(run.entry, store)
    result = move(new, mine)
    assert [(one.run_name, one.status, one.metrics) for one in result.runs] == [("n", "FINISHED", 1)]


def test_runs_of_the_local_store_are_counted_without_mlflow(old: OldStore, tmp_path: Path) -> None:
    project = copy_of(old, tmp_path / "project")
    shutil.copytree(old.folder / "mlartifacts", project.folder / "mlartifacts")
    local = settings_for(project.folder, project.address)
    assert local_store_with_runs(local) is None
    settings = settings_for(project.folder, f"sqlite:///{tmp_path / 'server.db'}")
    assert local_store_with_runs(settings) == NOT_RUNNING + 1
    assert local_runs_note(settings) == (
        f"8 runs are in the local store mlflow.db and not in {settings.mlflow_uri()}; copy them: "
        "cryptoml sync --from sqlite:///mlflow.db"
    )
    move(settings, project)
    assert local_store_with_runs(settings) == 1
    assert local_store_with_runs(settings_for(tmp_path, "https://example.org")) is None


def test_artifacts_are_byte_equal(old: OldStore, new: Settings, tmp_path: Path) -> None:
    result = move(new, old)
    run = next(run for run in result.runs if run.run_name == "ridge_2024-11-27_002")
    with open_store(old.address) as source, target_of(new) as target:
        expected = files_of(source, run.source_run_id, tmp_path / "a")
        assert files_of(target, run.run_id, tmp_path / "b") == expected
        assert len(expected) == 3
