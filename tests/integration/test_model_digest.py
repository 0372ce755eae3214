"""A version carries the SHA-256 of its model's files; other files are not loaded."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cryptoml.config.schema import Config
from cryptoml.errors import AccessError
from cryptoml.models.forecaster import load_forecaster
from cryptoml.registry.model_digest import MODEL_SHA256, model_digest
from cryptoml.registry.version_models import ModelRef, load, ref_of_version
from cryptoml.registry.versions import get_version
from cryptoml.tracking.store.project_store import open_project_store
from cryptoml.tracking.store.store import Store
from cryptoml.workflows.monitor import MonitorRequest, monitor
from cryptoml.workflows.predict import PredictRequest, predict
from cryptoml.workflows.promote import PromoteRequest, promote, read_history
from cryptoml.workflows.register import RegisterRequest, register
from tests.hostile import call_node, edit_schema
from tests.lab import Lab, config_of, first_layout, kept_model, record_digest, stored_model


@pytest.fixture
def config(request: pytest.FixtureRequest, lab: Lab) -> Config:
    found = config_of(request.node.name, gate={"min_skill": -1})
    register(RegisterRequest(lab.settings, found, lab.runs["ridge"]))
    return found


@pytest.fixture
def store(lab: Lab) -> Iterator[Store]:
    with open_project_store(lab.settings) as store:
        yield store


@contextmanager
def restored(*folders: Path) -> Iterator[None]:
    """Put the folders back as they were."""
    kept = [folder.with_name(f"{folder.name}.kept") for folder in folders]
    for folder, copy in zip(folders, kept, strict=True):
        if folder.exists():
            shutil.copytree(folder, copy, symlinks=True)
    try:
        yield
    finally:
        for folder, copy in zip(folders, kept, strict=True):
            folder.unlink() if folder.is_symlink() else shutil.rmtree(folder, ignore_errors=True)
            if copy.exists():
                copy.rename(folder)


def version_of(store: Store, config: Config) -> ModelRef:
    return ref_of_version(get_version(store, config.registry.model_name, "1"))


def test_run_and_version_carry_the_digest_of_the_files(lab: Lab, config: Config, store: Store) -> None:
    digest = model_digest(stored_model(lab, store, "ridge"))
    assert store.client.get_run(lab.runs["ridge"]).data.tags[MODEL_SHA256] == digest
    assert get_version(store, config.registry.model_name, "1").tags[MODEL_SHA256] == digest
    promote(PromoteRequest(lab.settings, config, "1", "staging", reason="x"))
    assert read_history(lab.settings, config)[0][0].metrics[MODEL_SHA256] == digest


@pytest.mark.parametrize("change", ["altered", "added", "removed", "code"])
def test_changed_files_in_the_store_are_refused(change: str, lab: Lab, config: Config, store: Store) -> None:
    stored, kept = stored_model(lab, store, "ridge"), kept_model(lab, "ridge")
    recorded = model_digest(stored)
    with restored(stored, kept):
        shutil.rmtree(kept, ignore_errors=True)
        file = stored / "data" / "forecaster" / "forecaster.json"
        if change == "altered":
            file.write_text(json.dumps(json.loads(file.read_text()) | {"shrinkage": 0.123}))
        elif change == "added":
            (stored / "data" / "more.txt").write_text("x")
        elif change == "removed":
            (stored / "requirements.txt").unlink()
        else:
            with zipfile.ZipFile(stored / "cryptoml.zip", "w") as packed:
                packed.writestr("cryptoml/__init__.py", "raise SystemExit")
        found = model_digest(stored)
        for attempt in (
            lambda: predict(PredictRequest(lab.settings, config, model="v1", stale_ok=True)),
            lambda: promote(PromoteRequest(lab.settings, config, "1", "production", reason="x")),
            lambda: promote(PromoteRequest(lab.settings, config, "1", "production", reason="x", force=True)),
            lambda: monitor(MonitorRequest(lab.settings, config, model="v1")),
        ):
            with pytest.raises(AccessError, match="were changed after training") as caught:
                attempt()
            assert found[:12] in caught.value.fact
            assert recorded[:12] in caught.value.fact
        assert not kept.exists()
    assert load(store, lab.settings, version_of(store, config)).shrinkage != 0.123


@pytest.mark.parametrize("damage", ["altered", "link", "folder link", "pipe"])
def test_a_damaged_copy_is_fetched_again(damage: str, lab: Lab, config: Config, store: Store, tmp_path: Path) -> None:
    import os

    kept = kept_model(lab, "ridge")
    expected = load(store, lab.settings, version_of(store, config)).shrinkage
    with restored(kept):
        file = kept / "data" / "forecaster" / "forecaster.json"
        text = json.dumps(json.loads(file.read_text()) | {"shrinkage": 0.123})
        if damage == "altered":
            file.write_text(text)
        elif damage == "link":
            (tmp_path / "x.json").write_text(text)
            file.unlink()
            file.symlink_to(tmp_path / "x.json")
        elif damage == "folder link":
            file.write_text(text)
            kept.rename(tmp_path / "elsewhere")
            kept.symlink_to(tmp_path / "elsewhere")
        else:
            os.mkfifo(kept / "data" / "pipe")
        assert load(store, lab.settings, version_of(store, config)).shrinkage == expected
        assert not kept.is_symlink()
        assert model_digest(kept) == model_digest(stored_model(lab, store, "ridge"))


def test_versions_of_earlier_releases_have_no_digest_and_load(lab: Lab, config: Config, store: Store) -> None:
    run_id, name = lab.runs["ridge"], config.registry.model_name
    digest = store.client.get_run(run_id).data.tags[MODEL_SHA256]
    store.client.delete_tag(run_id, MODEL_SHA256)
    store.client.delete_model_version_tag(name, "1", MODEL_SHA256)
    try:
        assert load(store, lab.settings, version_of(store, config)).model_type == "ridge"
        other = config_of(f"{name}-other", gate={"min_skill": -1})
        register(RegisterRequest(lab.settings, other, run_id))
        assert get_version(store, other.registry.model_name, "1").tags[MODEL_SHA256] == digest
    finally:
        store.client.set_tag(run_id, MODEL_SHA256, digest)


def test_a_model_stored_by_the_first_release_is_registered_promoted_and_forecasts(
    lab: Lab, config: Config, store: Store
) -> None:
    stored, kept, run_id = stored_model(lab, store, "ridge"), kept_model(lab, "ridge"), lab.runs["ridge"]
    recorded = model_digest(stored)
    other = config_of(f"{config.registry.model_name}-first", gate={"min_skill": -1})
    with restored(stored, kept):
        shutil.rmtree(kept, ignore_errors=True)
        first_layout(stored)
        record_digest(store, run_id, model_digest(stored))
        try:
            register(RegisterRequest(lab.settings, other, run_id))
            assert promote(PromoteRequest(lab.settings, other, "1", "production", reason="x")).stage == "production"
            assert predict(PredictRequest(lab.settings, other, stale_ok=True)).version == "1"
            assert len(list((kept / "code").rglob("*.py"))) > 150
        finally:
            record_digest(store, run_id, recorded)


def test_a_run_id_that_is_a_path_is_refused(lab: Lab, store: Store) -> None:
    with pytest.raises(AccessError, match="is invalid"):
        load(store, lab.settings, ModelRef("../../x", "v1", "1"))


def test_predict_runs_no_code_of_a_replaced_model(lab: Lab, config: Config, store: Store, tmp_path: Path) -> None:
    """The real command, on a version without a digest: exit 7, one sentence, no code."""
    name, run_id = config.registry.model_name, lab.runs["ridge"]
    stored, kept = stored_model(lab, store, "ridge"), kept_model(lab, "ridge")
    digest = store.client.get_run(run_id).data.tags[MODEL_SHA256]
    canary = tmp_path / "canary"
    environ = {"MLFLOW_TRACKING_TOKEN": "planted-token"}
    arguments = ("predict", "--model", "v1", "--stale-ok", "--set", f"registry.model_name={name}")
    with restored(stored, kept):
        shutil.rmtree(kept, ignore_errors=True)
        hostile = call_node("builtins", "exec", f"open({str(canary)!r}, 'w').close()")
        edit_schema(stored / "data" / "forecaster" / "estimator.skops", lambda schema: hostile)
        changed = lab.project.run(*arguments, environ=environ)
        store.client.delete_tag(run_id, MODEL_SHA256)
        store.client.delete_model_version_tag(name, "1", MODEL_SHA256)
        try:
            foreign = lab.project.run(*arguments, environ=environ)
        finally:
            store.client.set_tag(run_id, MODEL_SHA256, digest)
    assert (changed.code, foreign.code) == (7, 7), (changed.err, foreign.err)
    assert "were changed after training" in changed.err
    assert "refers to untrusted code: builtins.exec" in foreign.err
    assert "Traceback" not in changed.err + foreign.err
    assert "planted-token" not in changed.err + foreign.err
    assert not canary.exists()


def test_the_stored_files_are_what_loads(lab: Lab, store: Store) -> None:
    for model in lab.runs:
        if model != "persistence":
            assert load_forecaster(stored_model(lab, store, model) / "data" / "forecaster").model_type == model


def test_the_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    import hashlib

    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_bytes(b"1")
    (tmp_path / "a").write_bytes(b"2")
    lines = f"{hashlib.sha256(b'2').hexdigest()}  a\n{hashlib.sha256(b'1').hexdigest()}  b/x\n"
    assert model_digest(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()
    (tmp_path / "c\nd").write_bytes(b"")
    with pytest.raises(AccessError, match="unprintable"):
        model_digest(tmp_path)
    (tmp_path / "c\nd").unlink()
    (tmp_path / "l").symlink_to("a")
    with pytest.raises(AccessError, match="symbolic link"):
        model_digest(tmp_path)
