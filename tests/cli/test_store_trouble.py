"""Errors of the store are reported before the first fit, with the right exit code."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cryptoml.tracking.store.store import open_store
from tests.conftest import Done, Hub, Project, make_project

TRAIN = (
    "train", "--data", "data/raw/sim.csv", "--models", "ridge", "--set", "tracking.profile_report=false",
    "--set", "split.cross_validation_folds=2", "--set", "gate.min_skill=-1",
)  # fmt: skip
EXPERIMENT = "crypto-price-prediction"


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("candles"))
    assert project.run("sample-data", "--years", "0.3", "--signal", "0.2", "-o", "data/raw/sim.csv").code == 0
    return project.folder / "data" / "raw" / "sim.csv"


def with_data(project: Project, candles: Path) -> Project:
    target = project.folder / "data" / "raw" / "sim.csv"
    target.parent.mkdir(parents=True)
    target.write_bytes(candles.read_bytes())
    return project


def journal(project: Project) -> list[Path]:
    return sorted((project.folder / ".cryptoml" / "journal").glob("*/*.jsonl"))


def place(done: Done, text: str) -> int:
    """Return the number of the first line of standard error that contains `text`."""
    lines = done.err.splitlines()
    return next(number for number, line in enumerate(lines) if text in line)


@contextmanager
def answering(reply: bytes | None) -> Iterator[str]:
    """Accept connections; send `reply` and close, or never respond."""
    stop = threading.Event()
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        server.settimeout(0.1)

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    continue
                if reply is None:
                    kept.append(connection)
                    continue
                with connection:
                    connection.recv(65536)
                    connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        stop.set()
        thread.join(5)
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (None, "no response within 5 s"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"experiment": {"exp', "incomplete or damaged"),
    ],
)
def test_an_unavailable_server_is_reported_before_the_first_fit(
    project: Project, candles: Path, reply: bytes | None, said: str
) -> None:
    with_data(project, candles)
    with answering(reply) as uri:
        done = project.run(*TRAIN, "--json", environ={"MLFLOW_TRACKING_URI": uri})
    assert done.code == 5, done.err
    assert place(done, "warning:") < place(done, "fold 1")
    assert done.err.count("warning:") == 1
    assert said in done.err.splitlines()[place(done, "warning:")]
    assert done.json()["undelivered"]
    assert len(journal(project)) == 2
    synced = project.run("sync", "--json")
    assert synced.code == 0, synced.err
    assert len(synced.json()["delivered"]) == 2  # type: ignore[arg-type]


def reader_environ(hub: Hub) -> dict[str, str]:
    state = hub.standin.state
    token = state.token_of(state.reader)
    return {
        "DAGSHUB_USERNAME": state.reader, "DAGSHUB_TOKEN": token, "DAGSHUB_REPO": hub.slug,
        "MLFLOW_EXPERIMENT_NAME": hub.slug,
    }  # fmt: skip


def test_a_read_only_token_fails_immediately_in_every_command_that_writes(hub: Hub, candles: Path) -> None:
    with_data(hub, candles)
    owner = {"MLFLOW_EXPERIMENT_NAME": hub.slug}
    name = f"registry.model_name=read-{hub.slug.rpartition('-')[2]}"
    assert hub.run(*TRAIN, "--set", name, environ=owner).code == 0
    before = journal(hub)
    refused = hub.run(*TRAIN, environ=reader_environ(hub))
    assert refused.code == 7, refused.err
    assert "403" in refused.err
    assert "fold" not in refused.err
    assert journal(hub) == before
    log = hub.standin.state.requests
    for command in (
        ("register", "--best", "--set", name),
        ("promote", "v1", "staging", "--reason", "x", "--set", name),
        ("promote", "--rollback", "--reason", "x", "--set", name),
    ):
        log.clear()
        done = hub.run(*command, environ=reader_environ(hub))
        assert done.code == 7, (command, done.err)
        # Asked for the right before anything is fetched.
        assert [one.status for one in log if one.method != "GET"] == [403], command
        assert len(log) == 3, command


def test_a_deleted_experiment_is_reported_before_the_first_fit_and_doctor_restores_it(
    project: Project, candles: Path
) -> None:
    with_data(project, candles)
    store = project.folder.parent / "store" / "mlflow.db"
    store.parent.mkdir()
    uri = f"sqlite:///{store}"
    environ = {"MLFLOW_TRACKING_URI": uri}
    with open_store(uri) as opened:
        opened.client.delete_experiment(opened.experiment_id(EXPERIMENT))
    done = project.run(*TRAIN, environ=environ)
    assert done.code == 3, done.err
    assert "was deleted" in done.err
    assert "fold" not in done.err
    assert journal(project) == []
    compared = project.run("compare", environ=environ)
    assert (compared.code, "was deleted" in compared.err) == (3, True), compared.err
    looked = project.run("doctor", "mlflow", "--json", environ=environ)
    assert looked.code == 6
    assert "was deleted" in looked.out
    hint = done.err[done.err.index("Hint: ") :].removeprefix("Hint: ").strip()
    restored = paste(project, hint)
    assert restored.code == 0, restored.err
    assert "fixed: mlflow" in restored.out
    assert list(project.folder.rglob("mlflow.db")) == []
    assert project.run(*TRAIN, environ=environ).code == 0


def test_doctor_restores_a_deleted_experiment_on_a_server_with_credentials(hub: Hub) -> None:
    owner, environ = hub.standin.state.owner, {"MLFLOW_EXPERIMENT_NAME": hub.slug}
    with open_store(f"{hub.url}.mlflow", timeout_s=20, username=owner, password=hub.token) as store:
        identifier = store.experiment_id(hub.slug)
        store.client.delete_experiment(identifier)
        done = hub.run("doctor", "mlflow", "--json", environ=environ)
        assert done.code == 6
        findings = done.json()["findings"]
        assert isinstance(findings, list)
        restored = paste(hub, findings[0]["hint"])
        assert restored.code == 0, restored.out + restored.err
        assert store.client.get_experiment(identifier).lifecycle_stage == "active"
    assert list(hub.folder.rglob("mlflow.db")) == []


def paste(project: Project, hint: str) -> Done:
    """Run a hint literally in a shell in which `cryptoml` is the command under test."""
    import subprocess

    folder = project.folder.parent / "bin"
    folder.mkdir(exist_ok=True)
    command = folder / "cryptoml"
    command.write_text(f'#!/bin/sh\nexec {project.command()[0]} -m cryptoml "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", hint],
        cwd=project.folder,
        env={**project.environ, "PATH": f"{folder}:{project.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
