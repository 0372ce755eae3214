"""The streams of a command: the last line of the merged streams; closed, full and unusual streams."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess

import pytest

from tests.conftest import Done, Project, make_project

QUICK = (
    "train", "--data", "data/raw/sim.csv", "--models", "ridge", "--set", "split.cross_validation_folds=2",
    "--set", "tracking.profile_report=false", "--set", "gate.min_skill=-1",
)  # fmt: skip
# All that a library may do at the end of a process; none of it may come after the result.
NOISY = """
import atexit, logging, os, sys, threading, time, warnings

logging.basicConfig(level=logging.INFO)


def crash():
    logging.getLogger("noise").warning("at exit")
    warnings.warn("at exit")
    print("on standard output at exit")
    raise RuntimeError("at exit")


def chatter():
    while True:
        time.sleep(0.01)
        # Past Python's own lock on the stream, which a fork in the middle of a write would leave locked for good.
        os.write(2, b"from a thread\\n")


class Noise:
    def __del__(self):
        print("when collected", file=sys.stderr)


noise = Noise()
atexit.register(crash)
start = lambda: threading.Thread(target=chatter, daemon=True).start()
os.register_at_fork(after_in_child=start)
start()
warnings.warn("at the start")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("streams"))
    assert project.run("sample-data", "--years", 0.3, "-o", "data/raw/sim.csv").code == 0
    noisy = project.folder / "noisy"
    noisy.mkdir()
    (noisy / "sitecustomize.py").write_text(NOISY)
    return project


def shell(project: Project, redirection: str, *arguments: object, **environ: str) -> Done:
    """Run a command in a shell with a redirection."""
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join(project.command(*arguments))} {redirection}"],
        cwd=project.folder,
        env={**project.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("buffering", [{"PYTHONUNBUFFERED": "1"}, {}], ids=["unbuffered", "buffered"])
def test_the_last_line_of_the_merged_streams_is_the_result(project, buffering):
    done = shell(project, "2>&1 <&-", *QUICK, "--json", PYTHONPATH="noisy", PYTHONWARNINGS="always", **buffering)
    assert done.code == 0, done.out
    assert done.out.endswith("\n")
    *talk, last = done.out.splitlines()
    assert json.loads(last)["schema"] == "cryptoml.train/1"
    assert "from a thread" in talk
    assert any("at the start" in line for line in talk)


def test_a_path_is_printed_last(project):
    done = shell(project, "2>&1", "transform-data", "data/raw/sim.csv", PYTHONPATH="noisy", PYTHONUNBUFFERED="1")
    assert done.code == 0, done.out
    assert (project.folder / done.out.splitlines()[-1]).is_file()
    made = shell(project, "2>&1", "sample-data", "--years", 0.1, "-o", "data/ünïcödé.csv", PYTHONPATH="noisy")
    assert made.out.splitlines()[-1] == "data/ünïcödé.csv"


def test_the_result_of_a_failure_follows_its_error(project):
    limits = ("--set", "quality.max_age_intervals=1")
    done = shell(project, "2>&1", "transform-data", "data/raw/sim.csv", *limits, "--json", PYTHONPATH="noisy")
    assert done.code == 4, done.out
    assert "Hint:" in done.out
    assert json.loads(done.out.splitlines()[-1])["result"]["passed"] is False


def test_standard_input_may_be_a_socket(project):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(
            project.command(*QUICK, "--json"), cwd=project.folder, env=dict(project.environ), stdin=theirs,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["registered"]


@pytest.mark.parametrize(
    ("redirection", "code"),
    [(">&-", 0), (">&- 2>&-", 0), ("<&- >&- 2>&-", 0), ("| true; exit ${PIPESTATUS[0]}", 141), (">/dev/full", 5)],
)
def test_a_closed_output_is_not_an_unexpected_error(project, redirection, code):
    path = project.folder / "data" / "out.csv"
    path.unlink(missing_ok=True)
    done = shell(project, redirection, "sample-data", "--years", 0.1, "-o", "data/out.csv")
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    assert "Exception ignored" not in done.err
    assert path.read_text().count("\n") == 878
    if redirection == ">/dev/full":
        assert "the disk is full" in done.err


def test_a_full_disk_has_the_same_exit_code_with_json(project):
    done = shell(project, ">/dev/full", "doctor", "--list", "--json")
    assert done.code == 5
    assert "the result cannot be written" in done.err


def test_a_table_is_printed_on_any_terminal(project):
    odd = {"TERM": "dumb", "COLUMNS": "1", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = shell(project, "", *QUICK, **odd)
    assert done.code == 0, done.err
    assert "registered:" in done.out
    ended = shell(project, "| head -1; exit ${PIPESTATUS[0]}", *QUICK, COLUMNS="nonsense", PYTHONIOENCODING="ascii")
    assert ended.code in (0, 141), ended.err
    assert "Traceback" not in ended.err
