"""--json prints one valid line for every command, also on failure. Runs the examples of --help in sequence."""

from __future__ import annotations

import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from cryptoml.cli.app import COMMANDS, app
from tests.cli.pause import PAUSED, Started, paused
from tests.conftest import Project, make_project
from tests.exchange.server import make_standin
from tests.json_schemas import check_envelope

STORY = (
    "setup-remotes", "doctor", "sample-data", "inspect", "transform-data", "audit", "push-data", "pull-data", "tune",
    "train", "compare", "backtest", "reproduce", "sync", "register", "promote", "versions", "show",
    "predict", "monitor",
)  # fmt: skip
# A command line that fails, and the kind of its error.
FAILURES = {
    "setup-remotes": ("--repo nobody/nothing", "access"),
    "doctor": ("nonsense", "usage"),
    "sample-data": ("--years 0", "usage"),
    "extract-data": ("--exchange nowhere", "usage"),
    "inspect": ("nothing.csv", "data"),
    "transform-data": ("nothing.csv", "data"),
    "audit": ("--data nothing.csv", "data"),
    "push-data": ("nothing.csv", "config"),
    "pull-data": ("--rev nothing", "config"),
    "tune": ("--timeout soon", "usage"),
    "train": ("--set training.nonsense=1", "config"),
    "compare": ("nothing", "usage"),
    "backtest": ("--threshold nonsense", "config"),
    "reproduce": ("nothing", "usage"),
    "sync": ("--dry-run", "usage"),
    "ui": ("--port 0", "usage"),
    "register": ("", "usage"),
    "promote": ("v1", "usage"),
    "versions": ("--config nothing.yaml", "config"),
    "show": ("nothing", "usage"),
    "predict": ("--last 0", "usage"),
    "monitor": ("--config nothing.yaml", "config"),
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("empty"))


def example_of(name: str) -> list[str]:
    group: Any = typer.main.get_command(app)
    return shlex.split(group.commands[name].epilog)[1:]


def test_the_examples_in_help_work_in_sequence(tmp_path: Path):
    project = make_project(tmp_path)
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(project.folder)], check=True)
    for name, text in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        subprocess.run(["git", "config", "--file", project.environ["GIT_CONFIG_GLOBAL"], name, text], check=True)
    for name in STORY:
        done = project.run(*example_of(name), "--json")
        # What monitor finds of simulated candles may be either.
        assert done.code in ((0, 6) if name == "monitor" else (0,)), (name, done.out, done.err)
        envelope = done.envelope()
        assert envelope["schema"] == f"cryptoml.{name}/1"
        assert envelope["result"]
    listed = project.run("promote", "--history", "--json").json()
    assert [entry["to_stage"] for entry in listed["entries"]] == ["staging", "production"]
    assert len(project.run("doctor", "--list", "--json").json()["checks"]) > 10
    pages = project.run("ui", "--no-browser", "--json", environ={"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"})
    assert pages.json() == {"tracking_uri": "http://127.0.0.1:1"}
    assert set(STORY) | {"ui", "extract-data"} == set(COMMANDS)


def test_the_example_of_extract_data_works(project: Project):
    standin = make_standin(candles=2500).start()
    try:
        done = project.run(*example_of("extract-data"), "--json", environ={"CRYPTOML_EXCHANGE_URL": standin.url})
    finally:
        standin.stop()
    assert done.code == 0, done.err
    assert done.json()["markets"][0]["symbol"] == "ETH/USDT"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_failure_is_printed_as_json(name: str, empty: Project):
    words, kind = FAILURES[name]
    done = empty.run(name, *shlex.split(words), "--json")
    assert done.code != 0
    envelope = done.envelope()
    assert (envelope["schema"], envelope["error"]["kind"]) == (f"cryptoml.{name}/1", kind), envelope
    assert "result" not in envelope
    assert f"cryptoml: {envelope['error']['message']}" in done.err


@pytest.mark.parametrize("words", ["--json", "nonsense --json", "--nonsense train --json"])
def test_a_command_line_without_a_command_has_its_own_schema(words: str, empty: Project):
    done = empty.run(*words.split())
    assert done.code == 2
    assert done.envelope()["schema"] == ("cryptoml.train/1" if "train" in words else "cryptoml/1")


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        ("-- compare --json nothing", "cryptoml.compare/1"),
        ("sample-data --years 0.1 --output -- --json", "cryptoml.sample-data/1"),
        ("compare --json=true", "cryptoml.compare/1"),
        ("compare nothing --json -- nothing", "cryptoml.compare/1"),
    ],
)
def test_json_in_unusual_places_is_found(words: str, schema: str, empty: Project):
    done = empty.run(*words.split())
    assert done.code != 0
    assert done.envelope()["schema"] == schema


def test_json_as_the_value_of_another_option_is_not_an_option(empty: Project):
    done = empty.run("sample-data", "--years", 0.1, "--output", "--json")
    assert done.code == 4
    assert done.out == ""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_during_the_imports_is_reported_as_json(name: str, empty: Project):
    # The process signals itself as soon as the modules of the command line are imported.
    search = hooked(empty, f"import os, signal; os.kill(os.getpid(), signal.{name})", at="cryptoml.cli.app")
    done = empty.run("compare", "--json", environ={"PYTHONPATH": search}, fresh=True)
    assert done.code == 128 + signal.Signals[name]
    assert done.envelope()["error"]["kind"] == "stopped"
    assert "Traceback" not in done.err


def test_json_after_two_dashes_is_not_an_option(empty: Project):
    done = empty.run("register", "--", "--json")
    assert done.code != 0
    assert done.out == ""
    assert empty.run("train", "--json", "--help").out.startswith("Usage: cryptoml train")


def test_output_of_libraries_is_redirected_to_standard_error(empty: Project):
    search = noisy(empty, 'import sys; print("on standard output")')
    done = empty.run("sample-data", "--years", 0.1, "-o", "noisy.csv", "--json", environ={"PYTHONPATH": search})
    assert done.json()["path"] == "noisy.csv"
    assert "on standard output" in done.err


def test_an_unexpected_error_is_json_with_exit_code_1(empty: Project):
    search = noisy(empty, 'raise TypeError("no way")')
    arguments = ("sample-data", "--years", 0.1, "-o", "a b.csv")
    done = empty.run(*arguments, "--json", environ={"PYTHONPATH": search})
    assert done.code == 1
    assert done.envelope()["error"] == {
        "code": 1,
        "kind": "unexpected",
        "message": "unexpected error: TypeError: no way",
        "hint": "cryptoml -v sample-data --years 0.1 -o 'a b.csv' --json shows the traceback",
    }
    verbose = empty.run("-v", *arguments, environ={"PYTHONPATH": search})
    assert "Traceback (most recent call last)" in verbose.err
    assert verbose.err.splitlines()[-1] == "cryptoml: unexpected error: TypeError: no way"


def noisy(project: Project, line: str) -> str:
    """Return a PYTHONPATH on which the simulation module starts with `line`."""
    folder = project.folder.parent / f"noisy{abs(hash(line))}"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        "import cryptoml.data.simulation.simulate as module\n"
        "original = module.simulate\n"
        f"def simulate(**options):\n    {line}\n    return original(**options)\n"
        "module.simulate = simulate\n"
    )
    return ":".join(filter(None, [str(folder), project.environ.get("PYTHONPATH")]))


@pytest.mark.parametrize("how", ["before", "deaf"])
def test_a_signal_is_reported_as_json_even_if_the_process_is_killed(how: str, empty: Project):
    arguments = ("sample-data", "--years", "0.1", "-o", f"{how}.csv", "--json")
    with paused(empty, "cryptoml.data.simulation.simulate:simulate", *arguments, how=how) as command:
        assert isinstance(command, Started)
        command.wait_for(PAUSED)
        command.end(signal.SIGTERM)
    assert command.code == 143
    stopped, line = command.seen.splitlines()[-2:]
    assert stopped == "cryptoml: stopped by a signal."
    error = check_envelope(line, 143)["error"]
    assert (error["kind"], error["message"]) == ("stopped", "stopped by a signal.")


def hooked(project: Project, line: str, *, at: str) -> str:
    """Return a PYTHONPATH on which `line` runs when the module `at` begins to be imported."""
    folder = project.folder.parent / f"hooked{abs(hash(line))}"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        if name == {at!r}:\n            {line}\n"
        "sys.meta_path.insert(0, Finder)\n"
    )
    return ":".join(filter(None, [str(folder), project.environ.get("PYTHONPATH")]))
