"""The lifecycle of a model on the command line: compare, register, promote, predict, monitor, ui."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from urllib.request import urlopen

import pandas as pd
import pytest

from tests.conftest import Done
from tests.lab import Lab


class Named:
    """The lab's project with a separate registered model."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.options = ("--set", f"registry.model_name={name}", "--set", "gate.min_skill=-1")

    def run(self, *arguments: object) -> Done:
        return self.lab.project.run(*arguments, *self.options)


@pytest.fixture
def named(lab: Lab, request: pytest.FixtureRequest) -> Named:
    return Named(lab, request.node.name)


def on_a_terminal(command: Sequence[str], lab: Lab, answer: bytes) -> tuple[int, str]:
    """Run a command on a terminal, answer its prompt with `answer`, and return exit code and output."""
    leader, follower = pty.openpty()
    environ = {**lab.project.environ, "TERM": "xterm"}
    process = subprocess.Popen(command, cwd=lab.project.folder, env=environ, stdin=follower, stdout=follower,
                               stderr=follower, start_new_session=True)  # fmt: skip
    os.close(follower)
    seen, until, typed = b"", time.monotonic() + 120, False
    while time.monotonic() < until:
        ready, _, _ = select.select([leader], [], [], 0.5)
        if ready:
            try:
                chunk = os.read(leader, 4096)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
        elif process.poll() is not None:
            break
        if not typed and b"reason (Enter: none)" in seen:
            os.write(leader, answer)
            typed = True
    os.close(leader)
    return process.wait(30), seen.decode()


def test_compare_register_promote_predict_and_monitor(named: Named) -> None:
    lab = named.lab
    compared = named.run("compare")
    assert compared.code == 0, compared.err
    assert compared.out.index("persistence_") < compared.out.index("ridge_")
    strict = (*named.options[:2], "--set", "gate.min_skill=0.9")
    refused = lab.project.run("register", "--best", "--json", *strict)
    assert refused.code == 6, refused.err
    assert (refused.json()["version"], refused.json()["gate"]["passed"]) == (None, False)
    assert refused.envelope()["error"]["message"].endswith(" ".join(refused.json()["gate"]["reasons"]))
    registered = named.run("register", "--best", "--json")
    assert registered.code == 0, registered.err
    assert registered.json()["version"] == "1"
    again = named.run("register", registered.json()["run_name"])
    assert "is already" in again.out
    promoted = named.run("promote", "v1", "production", "--reason", "the best there is")
    assert promoted.code == 0, promoted.err
    assert "none -> staging -> production" in promoted.out
    assert "deprecated" not in promoted.err
    history = named.run("promote", "--history")
    assert history.code == 0
    assert "the best there is" in history.out
    assert "ledger verified: matches the registry" in history.out
    stale = named.run("predict")
    assert stale.code == 4
    assert "candles ago" in stale.err
    assert "Hint:" in stale.err
    batch = named.run("predict", "--stale-ok", "--last", 50, "--log", "--out", "forecasts.parquet")
    assert batch.code == 0, batch.err
    assert batch.out.strip().splitlines()[-1] == "forecasts.parquet"
    assert len(pd.read_parquet(lab.project.folder / "forecasts.parquet")) == 50
    monitored = named.run("monitor", "--json")
    assert monitored.code == (6 if monitored.json()["word"] == "worse" else 0)
    assert (monitored.json()["scored"], monitored.json()["waiting"]) == (49, 1)
    assert "in training" in named.run("monitor").out
    csv = named.run("compare", "--csv", "runs.csv", "--json")
    assert csv.code == 0, csv.err
    table = pd.read_csv(lab.project.folder / "runs.csv")
    assert list(table["run_name"]) == [run["run_name"] for run in csv.json()["runs"]]  # type: ignore[attr-defined,union-attr]
    assert "param.symbol" in table.columns


def test_a_missing_reason_is_recorded_with_a_warning(named: Named) -> None:
    named.run("register", named.lab.runs["ridge"])
    done = named.run("promote", "1", "STAGING")
    assert done.code == 0, done.err
    assert "no reason is given" in done.err
    entries = named.run("promote", "--history", "--json").json()["entries"]
    assert entries[0]["reason"] == "none given"  # type: ignore[index]
    strict = named.run("promote", "1", "archived", "--set", "promotion.require_reason=true")
    assert strict.code == 2
    assert "--reason" in strict.err


@pytest.mark.parametrize(("typed", "kept"), [(b"it is better\r", "it is better"), (b"\r", "none given")])
def test_a_terminal_prompts_for_the_reason(named: Named, typed: bytes, kept: str) -> None:
    named.run("register", named.lab.runs["ridge"])
    command = named.lab.project.command("promote", "v1", "staging", *named.options)
    code, seen = on_a_terminal(command, named.lab, typed)
    assert code == 0, seen
    entries = named.run("promote", "--history", "--json").json()["entries"]
    assert entries[0]["reason"] == kept  # type: ignore[index]


def test_invalid_requests_are_refused(named: Named) -> None:
    assert named.run("compare", "absent_2024-01-01_001").code == 2
    assert named.run("compare", "--sort", "rmse").code == 2
    assert named.run("compare", "--html", "page.pdf").code == 2
    assert named.run("compare", "--csv", "runs.xlsx").code == 2
    assert named.run("register").code == 2
    assert named.run("register", "--best", named.lab.runs["ridge"]).code == 2
    assert named.run("promote", "v1").code == 2
    assert named.run("promote", "v1", "produktion").code == 2
    assert named.run("promote", "v1", "staging").code == 2
    assert named.run("promote", "--rollback").code == 2
    assert named.run("predict").code == 2


def test_the_ui_is_served_until_it_is_stopped(lab: Lab) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        lab.project.command("ui", "--port", port, "--no-browser"), cwd=lab.project.folder,
        env=dict(lab.project.environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        # On a busy machine lines come before it that say that the server is still starting.
        assert any(f"http://127.0.0.1:{port}" in line for line in process.stderr)
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as answer:
            assert answer.read() == b"OK"
        busy = lab.project.run("ui", "--port", port, "--no-browser")
        assert busy.code == 2
        assert f"--port {port + 1}" in busy.err
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.2)
        else:
            pytest.fail("the server outlived the command")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
