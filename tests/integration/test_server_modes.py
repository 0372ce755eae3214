"""Whatever a server like DagsHub's does to a delivery, the run arrives in the end: whole, once, registered once."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from cryptoml.errors import AccessError, CryptomlError, UnavailableError
from cryptoml.registry.registrar import registrar
from cryptoml.registry.versions import list_versions
from cryptoml.tracking.journal.deliver import deliver_pending
from cryptoml.tracking.journal.journal import Journal
from cryptoml.tracking.store.store import Store, open_store
from tests.conftest import Hub
from tests.standin.state import Mode

# What may be said while the server is in that mode; the modes that are left out let everything through.
SAID: dict[Mode, type[CryptomlError]] = {
    "readonly": AccessError,
    "storage-full": UnavailableError,
    "down-at": UnavailableError,
}


def one_run(journal: Journal, folder: Path, model_name: str) -> None:
    run = journal.open_run(training_id="t", experiment=model_name, run_name="ridge_2024-11-27_001", tags={"a": "b"})
    run.log_params({f"p{number}": number for number in range(120)})
    run.log_metrics({"rmse": 1.5})
    for step in range(5):
        run.log_metrics({"cv_rmse": 1.0 + step}, step=step)
    (folder / "models" / "model").mkdir(parents=True)
    (folder / "models" / "model" / "MLmodel").write_text("flavors: {}\n")
    (folder / "data").mkdir()
    (folder / "data" / "big.bin").write_bytes(bytes(200_000))
    for part in ("models", "data"):
        run.add_artifact_folder(folder / part, part)
    run.request_registration(model_name, description="what it is", tags={"verdict": "ties"})
    run.end("FINISHED")


def opened(hub: Hub) -> Store:
    return open_store(f"{hub.url}.mlflow", timeout_s=10, username=hub.standin.state.owner, password=hub.token)


@pytest.mark.parametrize("mode", get_args(Mode))
def test_a_run_arrives_once_in_the_end(hub: Hub, mode: Mode, tmp_path: Path) -> None:
    state = hub.standin.state
    state.nth, state.delay_s, state.down_from = 4, 0.1, 9
    name = f"mode-{mode}-{hub.slug.rpartition('-')[2]}"
    journal = Journal(tmp_path / "journal")
    (tmp_path / "files").mkdir()
    one_run(journal, tmp_path / "files", name)
    state.set_mode(mode)
    first: CryptomlError | None = None
    try:
        with opened(hub) as store:
            first = deliver_pending(journal, store, register=registrar(store)).error
    except CryptomlError as error:
        first = error
    if mode in SAID:
        assert isinstance(first, SAID[mode]), first
        assert len(journal.pending()) == 1
    assert first is None or first.hint
    state.set_mode("full")
    with opened(hub) as store:
        last = deliver_pending(journal, store, register=registrar(store))
        assert last.error is None
        assert journal.pending() == ()
        experiment = store.find_experiment_id(name)
        assert experiment is not None
        (run,) = store.client.search_runs([experiment])
        assert run.info.status == "FINISHED"
        assert len(run.data.params) == 120
        history = store.client.get_metric_history(run.info.run_id, "cv_rmse")
        assert sorted((point.step, point.value) for point in history) == [(step, 1.0 + step) for step in range(5)]
        got = store.download(run.info.run_id, "data/big.bin", tmp_path / "files")
        assert got.read_bytes() == bytes(200_000)
        (version,) = list_versions(store, name)
        assert (version.run_id, version.description, version.tags["verdict"]) == (
            run.info.run_id,
            "what it is",
            "ties",
        )


@pytest.mark.parametrize(("mode", "codes"), [
    ("slow", {0}), ("flaky", {0, 5}), ("throttle", {0, 5}), ("readonly", {7}), ("storage-full", {5}), ("down-at", {5}),
])  # fmt: skip
def test_a_failed_push_is_reported_and_a_second_push_completes_it(hub: Hub, mode: Mode, codes: set[int]) -> None:
    assert hub.run("setup-remotes").code == 0
    folder = hub.folder / "data" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        (folder / f"{number}.csv").write_text(f"{mode} {number} {hub.slug}\n" * 100)
    state = hub.standin.state
    state.nth, state.delay_s, state.down_from = 3, 0.05, 4
    state.set_mode(mode)
    done = hub.run("push-data", "-m", "data")
    assert done.code in codes, done.err
    assert "Traceback" not in done.err
    if done.code:
        assert "Hint:" in done.err
    state.set_mode("full")
    again = hub.run("push-data", "-m", "data")
    assert again.code == 0, again.err
    stored = [path for path in state.dvc_folder(hub.slug).rglob("*") if path.is_file()]
    assert len([path for path in stored if "files" in path.parts]) >= 3
