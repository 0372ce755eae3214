"""No secret and no body reaches a host that a clone names or a server redirects to: real clients and servers."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptoml.errors import AccessError, CryptomlError
from cryptoml.remotes import git_remote
from cryptoml.remotes.dvc import object_transfer
from cryptoml.remotes.dvc import project as dvc_project
from cryptoml.remotes.dvc import transfer as dvc_transfer
from cryptoml.remotes.dvc.pins import Pin, pins_at
from cryptoml.remotes.http import send_request
from cryptoml.tracking.store.store import open_store
from tests.conftest import Project
from tests.recorder import Recorder

SECRET = "s3cr3t-" + "k3y" * 8


@pytest.fixture
def second() -> Iterator[Recorder]:
    """The host that must not be asked anything."""
    with Recorder() as server:
        yield server


@pytest.fixture
def clone(project: Project) -> Project:
    """A git clone with data pinned by DVC."""
    subprocess.run(["git", "-C", str(project.folder), "init", "--quiet", "-b", "main"], check=True)
    (project.folder / "data.csv.dvc").write_text("outs:\n- md5: 0123456789abcdef0123456789abcdef\n  path: data.csv\n")
    dvc_project.init_project(project.folder)
    return project


@pytest.mark.parametrize("command", [("setup-remotes",), ("setup-remotes", "--dry-run"), ("compare",), ("pull-data",)])
def test_a_clone_that_names_a_host_does_not_get_the_token_of_the_environment(
    clone: Project, second: Recorder, command: tuple[str, ...]
) -> None:
    (clone.folder / ".env").write_text(f"DAGSHUB_CLIENT_HOST={second.url}\nDAGSHUB_REPO=ada/coins\n")
    dvc_project.set_remote(clone.folder, "dagshub", f"{second.url}/ada/coins.dvc")
    done = clone.run(*command, environ={"DAGSHUB_TOKEN": SECRET})
    assert done.code == 7, done.err
    assert "DAGSHUB_TOKEN comes from the environment" in done.err
    assert second.place in done.err
    assert "--trust-host" in done.err
    assert SECRET not in done.out + done.err
    assert second.requests == []
    trusted = clone.run(*command, environ={"DAGSHUB_TOKEN": SECRET, "CRYPTOML_TRUSTED_HOSTS": second.place})
    assert "Nothing was sent" not in trusted.err
    assert second.requests


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD"])
def test_a_clone_that_names_a_tracking_server_does_not_get_its_secret(
    clone: Project, second: Recorder, name: str
) -> None:
    (clone.folder / ".env").write_text(f"MLFLOW_TRACKING_URI={second.url}\n")
    done = clone.run("compare", environ={name: SECRET})
    assert done.code == 7, done.err
    assert f"{name} comes from the environment" in done.err
    assert "MLFLOW_TRACKING_URI in .env" in done.err
    assert second.requests == []
    assert clone.run("compare", environ={name: SECRET, "MLFLOW_TRACKING_URI": second.url}).code == 2
    assert second.requests


def test_training_is_refused_before_any_model_is_fitted(clone: Project, second: Recorder) -> None:
    (clone.folder / ".env").write_text(f"MLFLOW_TRACKING_URI={second.url}\n")
    made = clone.run("sample-data", "--years", "0.5", "-o", "data/raw/sim.csv")
    assert made.code == 0, made.err
    done = clone.run("train", "--models", "ridge", environ={"MLFLOW_TRACKING_TOKEN": SECRET})
    assert done.code == 7, done.err
    assert "ridge" not in done.err
    assert second.requests == []


def test_a_committed_dvc_address_does_not_get_the_password_of_this_machine(clone: Project, second: Recorder) -> None:
    dvc_project.set_remote(clone.folder, "dagshub", "https://dvc.example.org/coins")
    dvc_project.set_secret(clone.folder, "dagshub", user="ada", password=SECRET)
    dvc_project.set_remote(clone.folder, "dagshub", f"{second.url}/coins")
    (clone.folder / ".env").write_text(f"DAGSHUB_CLIENT_HOST={second.url}\nDAGSHUB_TOKEN=junk\n")
    done = clone.run("pull-data")
    assert done.code == 7, done.err
    assert "password of DVC remote dagshub" in done.err
    assert SECRET not in done.err
    assert second.requests == []
    # The hint works when pasted.
    hint = done.err.partition("beside the password: ")[2].partition(";")[0]
    subprocess.run(hint.split(), cwd=clone.folder, check=True, capture_output=True, env=_with_dvc(clone))
    assert clone.run("pull-data").code == 4
    assert second.requests


def test_a_project_below_the_dvc_root_keeps_the_password_too(clone: Project, second: Recorder) -> None:
    dvc_project.set_remote(clone.folder, "far", f"{second.url}/coins")
    dvc_project.set_secret(clone.folder, "far", user="ada", password=SECRET)
    below = clone.folder / "team"
    (below / ".cryptoml").mkdir(parents=True)
    (clone.folder / "data.csv.dvc").rename(below / "data.csv.dvc")
    done = Project(below, clone.environ).run("pull-data")
    assert done.code == 7, done.err
    assert "password of DVC remote far" in done.err
    assert second.requests == []


def _with_dvc(clone: Project) -> dict[str, str]:
    return {**clone.environ, "PATH": f"{Path(sys.executable).parent}:{clone.environ['PATH']}"}


def test_the_source_of_a_copy_does_not_get_mlflows_own_credentials(clone: Project, second: Recorder) -> None:
    """MLflow's client reads the file by itself wherever it is given no password."""
    credentials = Path(clone.environ["HOME"]) / ".mlflow" / "credentials"
    credentials.parent.mkdir(parents=True)
    credentials.write_text(f"[mlflow]\nmlflow_tracking_username = ada\nmlflow_tracking_password = {SECRET}\n")
    environ = {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "CRYPTOML_SOURCE_USERNAME": "bob"}
    done = clone.run("sync", "--from", second.url, environ=environ)
    assert done.code == 7, done.err
    assert "~/.mlflow/credentials" in done.err
    assert SECRET not in done.err
    assert second.requests == []
    clone.run("sync", "--from", second.url, environ={**environ, "CRYPTOML_SOURCE_PASSWORD": "other"})
    expected = f"Basic {base64.b64encode(b'bob:other').decode()}"
    assert {one.headers["Authorization"] for one in second.requests} == {expected}


def test_the_api_is_not_asked_elsewhere(second: Recorder) -> None:
    with Recorder(second.url) as first:
        answer = send_request("POST", f"{first.url}/api", timeout_s=10, token=SECRET, json={"body": "mine"})
        assert answer.status == 307
        assert len(first.requests) == 1
    assert second.requests == []


def test_mlflow_sends_no_body_elsewhere(second: Recorder) -> None:
    with Recorder(second.url, redirect_reads=False) as first:
        with open_store(first.url, username="ada", password=SECRET) as store, pytest.raises(CryptomlError):
            store.experiment_id("mine")
        assert "POST" in [one.method for one in first.requests]
    assert second.requests == []


def test_git_goes_nowhere_else(second: Recorder, clone: Project) -> None:
    with Recorder(second.url) as first:
        git_remote.set_remote(clone.folder, "origin", f"{first.url}/ada/coins.git")
        with pytest.raises(AccessError, match="redirects to another address"):
            git_remote.count_branches(clone.folder, "origin")
        assert first.requests
    assert second.requests == []


def _dvc_remote(clone: Project, url: str) -> dvc_project.DvcRemote:
    dvc_project.set_remote(clone.folder, "far", url)
    dvc_project.set_secret(clone.folder, "far", user="ada", password=SECRET)
    return dvc_project.default_remote(clone.folder)


def test_dvc_sends_neither_password_nor_file_elsewhere(second: Recorder, clone: Project) -> None:
    with Recorder(second.url) as first:
        remote = _dvc_remote(clone, f"{first.url}/coins.dvc")
        with pytest.raises(AccessError, match="redirects to another host"):
            dvc_transfer.check_round_trip(clone.folder, remote)
        pin = Pin(Path("data.csv"), "0123456789abcdef0123456789abcdef")
        with pytest.raises(AccessError, match="redirects to another host"):
            object_transfer.fetch(clone.folder, [pin], remote, on_done=lambda count: None)
        sent = base64.b64encode(f"ada:{SECRET}".encode()).decode()
        assert first.requests[0].headers["Authorization"] == f"Basic {sent}"
    assert second.requests == []


def test_dvc_pushes_no_file_elsewhere(second: Recorder, clone: Project) -> None:
    with Recorder(second.url, redirect_reads=False) as first:
        remote = _dvc_remote(clone, f"{first.url}/coins.dvc")
        file = clone.folder / "mine.csv"
        file.write_text("mine\n")
        dvc_transfer.add(clone.folder, [file])
        pin = next(one for one in pins_at(clone.folder) if one.path == Path("mine.csv"))
        with pytest.raises(CryptomlError):
            object_transfer.send(clone.folder, [pin], remote, on_done=lambda count: None)
        assert any(one.method == "POST" for one in first.requests)
    assert second.requests == []
