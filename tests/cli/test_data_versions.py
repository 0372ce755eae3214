"""`cryptoml push-data` and `cryptoml pull-data`, with the real DVC and git, on a folder and on the stand-in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cryptoml.remotes.dvc import project as dvc_project
from tests.conftest import Done, Hub, Project


@pytest.fixture
def connected(hub: Hub) -> Hub:
    """Configure DVC as setup-remotes does."""
    dvc_project.init_project(hub.folder)
    dvc_project.set_remote(hub.folder, "dagshub", f"{hub.url}.dvc")
    dvc_project.set_secret(hub.folder, "dagshub", user=hub.standin.state.owner, password=hub.token)
    return hub


def put(hub: Project, name: str, text: str) -> Path:
    path = hub.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def forget(hub: Project) -> None:
    """Delete the files and the cache, as in a new clone."""
    shutil.rmtree(hub.folder / ".dvc/cache")
    for path in (hub.folder / "data").rglob("*.csv"):
        path.unlink()


def states(done: Done) -> dict[str, str]:
    return {one["path"]: one["state"] for one in done.json()["files"]}  # type: ignore[index, attr-defined]


def test_a_revision_is_pulled_and_train_logs_its_version(connected: Hub) -> None:
    hub = connected
    path = put(hub, "data/raw/a.csv", "one\n")
    put(hub, "data/raw/b.csv", "other\n")
    first = hub.run("push-data", "-m", "first", "--json")
    assert first.code == 0, first.err
    assert first.json()["transferred"] == 2
    version = {one["path"]: one["version"] for one in first.json()["files"]}["data/raw/a.csv"]  # type: ignore[attr-defined, index]
    revision = hub.git("rev-parse", "HEAD").strip()
    assert version.endswith(f"@{revision[:12]}")
    path.write_text("two\n")
    second = hub.run("push-data", "data/raw/a.csv", "--commit", "--json")
    assert states(second) == {"data/raw/a.csv": "changed"}
    assert hub.run("push-data", "--commit", "--json").json()["commit"] is None

    forget(hub)
    assert hub.run("pull-data").code == 0
    assert path.read_text() == "two\n"
    old = hub.run("pull-data", "--rev", revision, "data/raw/a.csv", "--json")
    assert old.code == 0, old.err
    assert path.read_text() == "one\n"
    # The version that train would log is the one that was pulled, not that of the newest commit.
    assert old.json()["files"][0]["version"] == version  # type: ignore[index]
    # A later checkout of git goes on from there.
    hub.git("checkout", "--", "data/raw/a.csv.dvc")
    assert states(hub.run("pull-data", "--json"))["data/raw/a.csv"] == "pulled"
    assert path.read_text() == "two\n"


def test_local_changes_are_not_overwritten_without_force(connected: Hub) -> None:
    hub = connected
    path = put(hub, "data/raw/a.csv", "one\n")
    assert hub.run("push-data").code == 0
    path.write_text("mine\n")
    refused = hub.run("pull-data")
    assert refused.code == 6
    assert "has local changes" in refused.err
    assert path.read_text() == "mine\n"
    assert hub.run("pull-data", "--force").code == 0
    assert path.read_text() == "one\n"


def test_an_interrupted_pull_is_resumed(connected: Hub) -> None:
    hub = connected
    for number in range(6):
        put(hub, f"data/raw/{number}.csv", f"{number}\n" * 1000)
    assert hub.run("push-data").code == 0
    forget(hub)
    state = hub.standin.state
    state.down_from = 5
    state.set_mode("down-at")
    stopped = hub.run("pull-data")
    assert stopped.code == 5, stopped.err
    assert "Hint" in stopped.err
    assert not list((hub.folder / "data").rglob("*.partial"))
    state.set_mode("full")
    cached = [path for path in (hub.folder / ".dvc/cache/files").rglob("*") if path.is_file()]
    state.requests.clear()
    again = hub.run("pull-data", "--json")
    assert again.code == 0, again.err
    assert again.json()["transferred"] == 6 - len(cached)
    assert {path.read_text()[0] for path in (hub.folder / "data/raw").glob("*.csv")} == set("012345")


@pytest.mark.parametrize(
    ("break_it", "code", "word"),
    [
        ("never pushed", 4, "never pushed"),
        ("expired", 7, "401"),
        ("reader", 7, "403"),
        ("away", 5, "data"),
        ("throttle", 5, "429"),
        ("revision", 2, "this git revision does not exist"),
        ("path", 4, "not versioned in"),
        ("no project", 3, "not a DVC project"),
        ("damaged", 4, "is damaged"),
    ],
)
def test_failed_downloads_are_reported_with_their_cause(connected: Hub, break_it: str, code: int, word: str) -> None:
    hub, state = connected, connected.standin.state
    put(hub, "data/raw/a.csv", "one\n")
    assert hub.run("push-data", "--commit").code == 0
    command = ["pull-data"]
    environ: dict[str, str] = {}
    forget(hub)
    if break_it == "never pushed":
        shutil.rmtree(state.dvc_folder(hub.slug))
        state.dvc_folder(hub.slug).mkdir()
    elif break_it == "expired":
        local = hub.folder / ".dvc/config.local"
        local.write_text(local.read_text().replace(hub.token, state.expired))
    elif break_it == "reader":
        put(hub, "data/raw/c.csv", "new\n")
        local = hub.folder / ".dvc/config.local"
        text = local.read_text().replace(hub.token, state.token_of(state.reader))
        local.write_text(text.replace("user = ada", f"user = {state.reader}"))
        command = ["push-data", "data/raw/c.csv"]
    elif break_it == "away":
        state.down_from = 1
        state.set_mode("down-at")
        word = "connection"
    elif break_it == "throttle":
        state.nth = 1
        state.set_mode("throttle")
    elif break_it == "revision":
        command = ["pull-data", "--rev", "v9"]
    elif break_it == "path":
        command = ["pull-data", "data/raw/typo.csv"]
    elif break_it == "no project":
        shutil.rmtree(hub.folder / ".dvc")
    elif break_it == "damaged":
        (hub.folder / "data/raw/a.csv.dvc").write_text("<<<<<<< HEAD\nouts:\n")
    done = hub.run(*command, environ=environ)
    assert done.code == code, done.err
    assert word in done.err
    assert "Hint" in done.err
    assert hub.token not in done.err
    assert "Traceback" not in done.err


def test_a_token_in_the_environment_is_sufficient_on_another_machine(connected: Hub) -> None:
    """A worker has a clone and DAGSHUB_TOKEN, and no .dvc/config.local."""
    hub = connected
    put(hub, "data/raw/a.csv", "one\n")
    assert hub.run("push-data", "-m", "data").code == 0
    hub.git("add", ".dvc")
    hub.git("commit", "--quiet", "-m", "set-up")
    clone = Project(hub.folder.with_name("clone"), hub.environ)
    hub.git("clone", "--quiet", str(hub.folder), str(clone.folder))
    done = clone.run("pull-data", "--json")
    assert done.code == 0, done.err
    assert (clone.folder / "data/raw/a.csv").read_text() == "one\n"
    assert not (clone.folder / ".dvc/config.local").exists()


def test_files_that_cannot_be_versioned_are_refused(hub: Hub) -> None:
    assert hub.run("setup-remotes", "--local").code == 0
    empty = hub.run("push-data")
    assert empty.code == 4
    assert "no data files" in empty.err
    outside = hub.folder.parent / "outside.csv"
    outside.write_text("x\n")
    assert hub.run("push-data", outside).code == 2
    assert hub.run("push-data", "data/raw/none.csv").code == 4
    put(hub, "data/raw/a.csv", "one\n")
    (hub.folder / ".gitignore").write_text("/data/\n")
    ignored = hub.run("push-data")
    assert ignored.code == 3
    assert "/data/**" in ignored.err
