"""`cryptoml doctor` reports each common DagsHub problem with a hint."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from cryptoml.remotes import env_file
from cryptoml.remotes.dvc import project as dvc_project
from tests.conftest import Done, Hub, Project


@pytest.fixture
def connected(hub: Hub) -> Hub:
    """Connect as setup-remotes does, with one versioned and pushed data file."""
    done = hub.run("setup-remotes")
    assert done.code == 0, done.err
    names = ("DAGSHUB_CLIENT_HOST", "DAGSHUB_USERNAME", "DAGSHUB_REPO", "DAGSHUB_TOKEN")
    environ = {name: text for name, text in hub.environ.items() if name not in names}
    return Hub(hub.folder, environ, hub.standin, hub.slug, hub.token)


def findings(done: Done) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for one in done.json()["findings"]:  # type: ignore[attr-defined]
        found.setdefault(one["check"], []).append(one)
    return found


def complaint(done: Done, check: str, tier: str) -> dict[str, str]:
    """The one finding of that check and tier."""
    hits = [one for one in findings(done)[check] if one["status"] == tier]
    assert hits, findings(done)[check]
    assert hits[0]["hint"], hits[0]
    return hits[0]


def put(hub: Project, name: str, text: str) -> Path:
    path = hub.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_healthy_setup_has_no_errors_and_is_checked_in_order(connected: Hub) -> None:
    done = connected.run("doctor", "--json")
    assert done.code == 0, done.out
    assert {one["status"] for hits in findings(done).values() for one in hits} <= {"ok", "warning"}
    names = list(findings(done))
    listed = [line.split()[0] for line in connected.run("doctor", "--list").out.splitlines()]
    assert names == listed
    assert names.index("python") < names.index("git") < names.index("dagshub-token") < names.index("mlflow-write")
    assert "MB/s" in findings(done)["mlflow-write"][0]["text"]
    assert findings(done)["mlflow-server"][0]["text"].startswith("version 3.")


def test_1_and_2_endpoints_that_the_server_does_not_support(connected: Hub) -> None:
    state = connected.standin.state
    assert len(findings(connected.run("doctor", "mlflow-server", "--json"))["mlflow-server"]) == 1
    state.set_mode("legacy")
    assert (
        "unsupported endpoint"
        in complaint(connected.run("doctor", "mlflow-server", "--json"), "mlflow-server", "warning")["text"]
    )
    state.set_mode("no-model-id")
    assert (
        "model_id" in complaint(connected.run("doctor", "mlflow-server", "--json"), "mlflow-server", "warning")["text"]
    )


@pytest.mark.parametrize(
    ("changes", "check", "tier", "word"),
    [
        ({"DAGSHUB_TOKEN": "expired", "MLFLOW_TRACKING_PASSWORD": "expired"}, "dagshub-token", "error", "expired"),
        ({"MLFLOW_TRACKING_USERNAME": "token"}, "credentials", "error", '"token"'),
        ({"MLFLOW_TRACKING_PASSWORD": ""}, "credentials", "warning", "sends neither"),
        ({"DAGSHUB_TOKEN": "'a b'"}, "credentials", "error", "spaces"),
        ({"MLFLOW_TRACKING_URI": "no suffix"}, "mlflow-address", "error", ".mlflow"),
        ({"DAGSHUB_TOKEN": ""}, "credentials", "warning", "browser"),
        ({"DAGSHUB_REPO": "ada/typo"}, "same-repository", "error", "different repositories"),
        ({"DAGSHUB_REPO": "ada/typo"}, "dagshub-repository", "error", "does not exist"),
        ({"DAGSHUB_USERNAME": "bob"}, "dagshub-token", "warning", "DAGSHUB_USERNAME"),
    ],
)  # fmt: skip
def test_3_5_9_and_13_wrong_settings(connected: Hub, changes: dict[str, str], check: str, tier: str, word: str) -> None:
    special = {"expired": connected.standin.state.expired, "no suffix": f"{connected.url}"}
    values = {name: special.get(text, text) for name, text in changes.items()}
    env_file.write_variables(connected.folder / ".env", values)
    if "MLFLOW_TRACKING_PASSWORD" in changes and not changes["MLFLOW_TRACKING_PASSWORD"]:
        text = (connected.folder / ".env").read_text()
        (connected.folder / ".env").write_text(text.replace("MLFLOW_TRACKING_PASSWORD=\n", ""))
    done = connected.run("doctor", check, "--json")
    assert word in complaint(done, check, tier)["text"]
    assert done.code == (6 if tier == "error" else 0)


def test_3_an_outdated_environment_variable_is_reported(connected: Hub) -> None:
    environ = {"MLFLOW_TRACKING_URI": f"{connected.standin.url}/ada/old.mlflow", "CRYPTOML_AUTOR": "x"}
    done = connected.run("doctor", "settings", "unknown-variables", "same-repository", "--json", environ=environ)
    found = complaint(done, "settings", "warning")
    assert "the environment takes precedence" in found["text"]
    assert found["hint"] == "remove MLFLOW_TRACKING_URI from the environment"
    assert "ada/old" in complaint(done, "same-repository", "error")["text"]
    assert "CRYPTOML_AUTHOR" in complaint(done, "unknown-variables", "warning")["hint"]


def test_4_a_user_with_read_permission_cannot_write(connected: Hub) -> None:
    state = connected.standin.state
    token = state.token_of(state.reader)
    env_file.write_variables(
        connected.folder / ".env",
        {"DAGSHUB_USERNAME": state.reader, "DAGSHUB_TOKEN": token,
         "MLFLOW_TRACKING_USERNAME": state.reader, "MLFLOW_TRACKING_PASSWORD": token},
    )  # fmt: skip
    done = connected.run("doctor", "dagshub-repository", "mlflow-write", "--json")
    assert "read-only for this token" in complaint(done, "dagshub-repository", "error")["text"]
    assert "403" in complaint(done, "mlflow-write", "error")["text"]


def test_6_and_7_data_never_pushed_and_credentials_missing(connected: Hub) -> None:
    put(connected, "data/raw/a.csv", "one\n")
    assert connected.run("push-data").code == 0
    well = connected.run("doctor", "data-pushed", "--json")
    assert findings(well)["data-pushed"][0]["status"] == "ok"
    store = connected.standin.state.dvc_folder(connected.slug)
    shutil.rmtree(store)
    store.mkdir()
    assert "never pushed" in complaint(connected.run("doctor", "data-pushed", "--json"), "data-pushed", "error")["text"]
    (connected.folder / ".dvc/config.local").unlink()
    missing = connected.run("doctor", "dvc-credentials", "--json")
    assert "dvc itself fails with 401" in complaint(missing, "dvc-credentials", "warning")["text"]
    fixed = connected.run("doctor", "dvc-credentials", "--fix", "--json")
    assert findings(fixed)["dvc-credentials"][0]["status"] == "ok"
    assert connected.token in (connected.folder / ".dvc/config.local").read_text()
    assert (connected.folder / ".dvc/config.local").stat().st_mode & 0o777 == 0o600
    env_file.write_variables(connected.folder / ".env", {"DAGSHUB_TOKEN": ""})
    (connected.folder / ".dvc/config.local").unlink()
    gone = connected.run("doctor", "dvc-credentials", "dvc-access", "--json")
    assert "401" in complaint(gone, "dvc-credentials", "error")["text"]
    assert "401" in complaint(gone, "dvc-access", "error")["text"]


def test_8_git_without_credentials(connected: Hub) -> None:
    (Path(connected.environ["HOME"]) / ".git-credentials").unlink()
    done = connected.run("doctor", "git-credentials", "--json")
    found = complaint(done, "git-credentials", "error")
    assert "missing or wrong credentials" in found["text"]
    assert found["hint"] == "cryptoml setup-remotes"


def test_10_intermittent_refusals(connected: Hub) -> None:
    state = connected.standin.state
    state.nth = 3
    state.set_mode("throttle")
    # The token itself is asked for once; the third question after that is refused.
    done = connected.run("doctor", "dagshub-steady", "--json")
    assert "429" in complaint(done, "dagshub-steady", "warning")["text"]


def test_11_a_configuration_that_dvc_does_not_read(connected: Hub) -> None:
    put(connected, ".git/.dvc/config", "[core]\n")
    done = connected.run("doctor", "dvc", "--json")
    assert ".git/.dvc/config" in complaint(done, "dvc", "warning")["text"]
    config = connected.folder / ".dvc/config"
    config.write_text(f"<<<<<<< HEAD\n{config.read_text()}")
    assert "merge conflict" in complaint(connected.run("doctor", "dvc", "--json"), "dvc", "error")["text"]


def test_12_the_storage_is_full(connected: Hub) -> None:
    connected.standin.state.set_mode("storage-full")
    done = connected.run("doctor", "mlflow-write", "--json")
    assert "storage is full" in complaint(done, "mlflow-write", "error")["text"]


def test_14_tokens_in_git(connected: Hub) -> None:
    hub = connected
    well = hub.run("doctor", "committed-secrets", "--json")
    assert findings(well)["committed-secrets"][0]["status"] == "ok"
    hub.git("add", "--force", ".env")
    assert (
        ".env is tracked"
        in complaint(hub.run("doctor", "committed-secrets", "--json"), "committed-secrets", "error")["text"]
    )
    hub.git("commit", "--quiet", "-m", "oops")
    hub.git("rm", "--quiet", "--cached", ".env")
    hub.git("commit", "--quiet", "-m", "better")
    past = complaint(hub.run("doctor", "committed-secrets", "--json"), "committed-secrets", "error")
    assert "earlier commit" in past["text"]
    put(hub, "notebook.py", f"token = '{hub.token}'\n")
    hub.git("add", "notebook.py")
    assert (
        "notebook.py"
        in complaint(hub.run("doctor", "committed-secrets", "--json"), "committed-secrets", "error")["text"]
    )
    hub.git("remote", "set-url", "origin", hub.url.replace("//", f"//ada:{hub.token}@") + ".git")
    done = hub.run("doctor", "committed-secrets", "--json")
    assert any("URL of git remote origin" in one["text"] for one in findings(done)["committed-secrets"])
    assert hub.token not in done.out + done.err
    hub.run("doctor", "committed-secrets", "--fix")
    assert hub.git("remote", "get-url", "origin").strip() == f"{hub.url}.git"
    config = hub.folder / ".dvc/config"
    config.write_text(config.read_text() + f"    password = {hub.token}\n")
    inside = hub.run("doctor", "committed-secrets", "--json")
    assert any("contains a password" in one["text"] for one in findings(inside)["committed-secrets"])


def test_a_wrong_clock_and_a_file_that_others_can_read(connected: Hub) -> None:
    connected.standin.state.clock_skew_s = 600
    (connected.folder / ".env").chmod(0o644)
    done = connected.run("doctor", "clock", "secrets", "--json")
    assert re.search(r"(59[5-9]|600) s behind", complaint(done, "clock", "warning")["text"])
    assert "readable by others" in complaint(done, "secrets", "warning")["text"]
    connected.run("doctor", "secrets", "--fix")
    assert (connected.folder / ".env").stat().st_mode & 0o777 == 0o600


def test_an_unresponsive_server_times_out_and_dependent_checks_are_skipped(connected: Hub) -> None:
    """The worst case: a port that accepts connections and never responds."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environ = {
            "DAGSHUB_CLIENT_HOST": url,
            "MLFLOW_TRACKING_URI": f"{url}/{connected.slug}.mlflow",
            "CRYPTOML_TRUSTED_HOSTS": url,
        }
        dvc_project.set_remote(connected.folder, "dagshub", f"{url}/{connected.slug}.dvc")
        began = time.monotonic()
        done = connected.run("doctor", "--json", environ=environ)
        seconds = time.monotonic() - began
    assert done.code == 6
    assert float(str(done.json()["seconds"])) < 15
    assert seconds < 40
    assert "4 minutes" in complaint(done, "mlflow", "error")["text"]
    for name in ("mlflow-write", "mlflow-registry", "mlflow-server", "dagshub-repository"):
        assert findings(done)[name][0]["status"] == "skipped"
    connected.git("remote", "remove", "origin")
    offline = connected.run("doctor", "--offline", "--json", environ=environ)
    assert offline.code == 0, offline.out
    assert findings(offline)["mlflow"][0]["status"] == "skipped"


def test_no_account_invalid_settings_and_an_empty_folder(project: Project, tmp_path: Path) -> None:
    bare = project.run("doctor", "--json")
    assert bare.code == 0, bare.out
    assert findings(bare)["dagshub-token"][0]["text"] == "DagsHub is not used"
    (project.folder / ".env").write_text("CRYPTOML_WORKERS=many\n")
    broken = project.run("doctor", "--json")
    assert broken.code == 6
    assert "CRYPTOML_WORKERS" in complaint(broken, "settings", "error")["text"]
    assert findings(broken)["mlflow"][0]["status"] == "skipped"
    assert findings(broken)["disk"][0]["status"] == "ok"
    unknown = project.run("doctor", "mlfow")
    assert unknown.code == 2
    assert "did you mean mlflow" in unknown.err


def test_changed_missing_and_unreadable_data(project: Project) -> None:
    subprocess.run(["git", "init", "--quiet", str(project.folder)], check=True)
    assert project.run("setup-remotes", "--local").code == 0
    assert project.run("sample-data", "--years", "0.1", "-o", "data/raw/sim.csv").code == 0
    assert project.run("push-data").code == 0
    well = project.run("doctor", "data", "data-versions", "data-pushed", "--json")
    assert {one["status"] for one in findings(well)["data-versions"] + findings(well)["data-pushed"]} == {"ok"}
    assert "too old for a forecast" in complaint(well, "data", "warning")["text"]
    put(project, "data/raw/sim.csv", "this is no candle file\n")
    (project.folder / "data/raw/sim.truth.csv").unlink()
    done = project.run("doctor", "data", "data-versions", "--json")
    assert "not candles" in complaint(done, "data", "error")["text"]
    texts = " ".join(one["text"] for one in findings(done)["data-versions"])
    assert "changed here" in texts
    assert "not here" in texts


def test_the_report_contains_no_secrets(connected: Hub) -> None:
    environ = {"AWS_SECRET_ACCESS_KEY": "canary-9d1e", "HTTPS_PROXY": "http://me:hidden-pw@127.0.0.1:9"}
    done = connected.run("doctor", "--offline", "--report", "report.txt", environ=environ)
    assert done.code == 0
    text = (connected.folder / "report.txt").read_text()
    assert "DAGSHUB_TOKEN=*** (.env)" in text
    for secret in (connected.token, "canary-9d1e", "hidden-pw"):
        assert secret not in text + done.out + done.err
    assert os.linesep in text
