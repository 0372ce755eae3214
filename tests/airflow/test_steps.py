"""The commands of the steps in a shell, as BashOperator runs them, with a `cryptoml` that notes what it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.airflow.test_dag_integrity import ORDER, facts_of
from tests.conftest import clean_environ

NOTES = """#!/bin/bash
printf '%s\\n' "$@" >> words
if flock --nonblock .cryptoml/locks/clone.lock true; then echo free; else echo taken; fi >> turns
echo "$SAYS"
"""
# Lets nothing end it, and starts another of its kind.
DEAF = """#!/bin/bash
trap '' TERM
(while :; do sleep 0.1; done) &
echo started
while :; do sleep 0.1; done
"""
HOSTILE = "$(touch pwned)`touch pwned`'; touch pwned; \"; touch pwned; & touch pwned {{ 7 * 7 }} ${#x}"


@pytest.fixture(scope="module", params=["path", "version"])
def tasks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The tasks of `crypto_training`, with either way of handing data over."""
    found: dict[str, Any] = facts_of(tmp_path_factory.mktemp("facts"), {"handover": request.param})
    return found["dags"]["crypto_training"]["tasks"]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A clone with a bare origin; its `bin` comes first on the PATH that `environ_of` gives."""
    environ = clean_environ(tmp_path / "user")
    made = tmp_path / "machine"
    for command in (
        ["git", "init", "--quiet", "--bare", "-b", "main", "origin.git"],
        ["git", "clone", "--quiet", "origin.git", str(made)],
        ["git", "-C", str(made), "-c", "user.name=A", "-c", "user.email=a@e.org",
         "commit", "--quiet", "--allow-empty", "-m", "A project"],
        ["git", "-C", str(made), "push", "--quiet", "-u", "origin", "HEAD:main"],
    ):  # fmt: skip
        subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True)
    (tmp_path / "bin").mkdir()
    (made / ".cryptoml" / "locks").mkdir(parents=True)
    return made


def environ_of(machine: Path, script: str) -> dict[str, str]:
    """An environment in which `cryptoml` is `script`."""
    stand_in = machine.parent / "bin" / "cryptoml"
    stand_in.write_text(script)
    stand_in.chmod(0o755)
    environ = clean_environ(machine.parent / "user")
    return environ | {"PATH": f"{stand_in.parent}:{environ['PATH']}"}


def environ_of_task(task: dict[str, Any], machine: Path, environ: dict[str, str]) -> dict[str, str]:
    """The task's own variables, those that are templates empty, under `environ`."""
    fixed = {name: text for name, text in task["env"].items() if "{" not in text}
    templates = dict.fromkeys(task["env"].keys() - fixed.keys(), "")
    return {**templates, **fixed, **environ, "CRYPTOML_PROJECT_DIR": str(machine)}


def run_step(task: dict[str, Any], machine: Path, environ: dict[str, str], *, code: int = 0) -> str:
    """Run a task's command as BashOperator does, which must end with `code`; the last line it prints."""
    done = subprocess.run(
        ["bash", "-c", task["command"]],
        cwd=machine,
        env=environ_of_task(task, machine, environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ORDER)
def test_a_value_is_data_whatever_it_says(tasks, machine: Path, name: str):
    (machine / HOSTILE).write_text("")
    values = dict.fromkeys(("SYMBOLS", "INTERVAL", "MODELS", "CONFIG", "RUN_ID", "VERSION", "RAW", "DATA"), HOSTILE)
    environ = environ_of(machine, NOTES)
    assert run_step(tasks[name], machine, {**environ, **values, "SAYS": HOSTILE}) == HOSTILE
    assert not list(machine.rglob("pwned"))
    words = (machine / "words").read_text().splitlines()
    assert {word for word in words if "pwned" in word} <= {HOSTILE, f"Data of {HOSTILE}"}
    assert HOSTILE in words


def test_one_step_at_a_time_works_on_the_clone(tasks, machine: Path):
    environ = environ_of(machine, NOTES) | {"SAYS": "x.csv", "RAW": "x.csv", "DATA": "x.csv"}
    (machine / "x.csv").write_text("")
    run_step(tasks["version_data"], machine, environ)
    assert (machine / "turns").read_text().splitlines() == ["taken"], "push-data"
    if tasks["version_data"]["env"]["HANDOVER"] == "version":
        (machine / "x.csv.dvc").write_text("")
        run_step(tasks["transform_data"], machine, environ)
        verbs = ["taken", "free", "taken"]
        assert (machine / "turns").read_text().splitlines()[1:] == verbs, "pull-data, transform-data, push-data"


def test_what_does_not_end_is_killed_with_all_it_started(tasks, machine: Path):
    task = tasks["extract_data"]
    environ = environ_of_task(task, machine, environ_of(machine, DEAF)) | {"LIMIT": "1s", "INTERVAL": "1h"}
    began = time.monotonic()
    step = subprocess.Popen(
        ["bash", "-c", task["command"].replace("--kill-after=30", "--kill-after=1")],
        cwd=machine,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert step.wait(30) == -signal.SIGKILL
    assert 2 <= time.monotonic() - began < 15
    assert [one for one in psutil.process_iter() if _session(one.pid) == step.pid and one.status() != "zombie"] == []


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
