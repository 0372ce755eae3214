"""Every command under every kind of surroundings: it works, or says in words what is missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import Done, Project

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
DOCUMENTED = {0, 2, 3, 4, 5, 6, 7}
# In the order of a first day; each with the exit codes that are right on a healthy local project.
COMMANDS: Sequence[tuple[Sequence[str], set[int]]] = (
    (("sample-data", "--years", "0.3", "--signal", "0.2", "-o", "data/raw/sim.csv"), {0}),
    (("transform-data", "data/raw/sim.csv", "-o", "data/processed/sim.parquet"), {0}),
    (("setup-remotes", "--local"), {0}),
    (("train", "--data", "data/raw/sim.csv", "--models", "ridge", "--set", "tracking.profile_report=false",
      "--set", "split.cross_validation_folds=2", "--set", "gate.min_skill=-1"), {0}),
    (("compare",), {0}),
    (("register", "--best"), {0}),
    (("promote", "v1", "production", "--reason", "first"), {0}),
    (("predict", "--data", "data/raw/sim.csv", "--stale-ok", "--log"), {0}),
    (("monitor", "--data", "data/raw/sim.csv"), {0, 4, 6}),
    (("push-data", "data/raw/sim.csv"), {0}),
    (("pull-data", "data/raw/sim.csv"), {0}),
    (("sync",), {0}),
    (("doctor", "--offline"), {0, 6}),
)  # fmt: skip


@dataclass(frozen=True)
class Surroundings:
    """How a command is started: what precedes it, and which variables differ (None: unset).

    fresh: the interpreter and the libraries are started in them, too.
    """

    prefix: tuple[str, ...] = ()
    environ: Mapping[str, str | None] = field(default_factory=dict)
    fresh: bool = True


def run(project: Project, around: Surroundings, arguments: Sequence[str]) -> Done:
    merged = {**project.environ, **around.environ}
    environ = {name: text for name, text in merged.items() if text is not None}
    if not around.fresh:
        return Project(project.folder, environ).run(*arguments)
    done = subprocess.run(
        [*around.prefix, *project.command(*arguments)],
        cwd=project.folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def check(done: Done, what: str, codes: set[int]) -> None:
    assert done.code in codes & DOCUMENTED, f"{what}: exit code {done.code}\n{done.err}"
    assert "Traceback" not in done.err, what
    assert "unexpected error" not in done.err, what


def unknown_user(project: Project) -> Surroundings:
    """A container's user id without a name, without HOME; it can read the interpreter, and write the project."""
    subprocess.run(["chown", "-R", "54321", str(project.folder)], check=True)
    capabilities = "+dac_override,+dac_read_search"
    prefix = (
        "setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups",
        f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}",
    )  # fmt: skip
    gone = ("HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "GIT_CONFIG_GLOBAL")
    return Surroundings(prefix, dict.fromkeys(gone))


def bare_home(project: Project) -> Surroundings:
    """A home that cannot be written, the C locale, and a temporary folder that is gone."""
    environ = {"HOME": "/proc", "XDG_CONFIG_HOME": None, "XDG_CACHE_HOME": None, "LC_ALL": "C", "LANG": None}
    return Surroundings((), {**environ, "TMPDIR": str(project.folder / "gone")})


def dead_proxy(project: Project) -> Surroundings:
    """A proxy that is away, named for every scheme; nothing local needs it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    return Surroundings((), dict.fromkeys(names, address), fresh=False)


def inside_a_hook(project: Project) -> Surroundings:
    """Called from a hook of another repository, whose git variables are inherited."""
    other = project.folder.parent / "other"
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(other)], check=True)
    git = {"GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": str(other / ".git" / "index")}
    return Surroundings((), {**git, "GIT_PREFIX": ""}, fresh=False)


@pytest.mark.parametrize("around", [unknown_user, bare_home, dead_proxy, inside_a_hook], ids=lambda one: one.__name__)
def test_the_whole_family_works(project: Project, around) -> None:
    if around is unknown_user and not (ROOT and shutil.which("setpriv")):
        pytest.skip("only root can start a process under another user id")
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(project.folder)], check=True)
    surroundings = around(project)
    for arguments, codes in COMMANDS:
        check(run(project, surroundings, arguments), " ".join(arguments), codes)
    assert (project.folder / "mlflow.db").is_file()
    other = project.folder.parent / "other"
    if around is inside_a_hook:
        assert not [path for path in other.iterdir() if path.name != ".git"]
        assert not list((other / ".git" / "objects").glob("??"))


def test_a_missing_temporary_folder_is_reported_first(project: Project) -> None:
    """Python's last resort is the current folder, which would fill with other programs' files."""
    script = (
        "import tempfile, sys; tempfile._candidate_tempdir_list = lambda: [sys.argv.pop()];"
        "import cryptoml.cli.app as app; app.main()"
    )
    environ = {**project.environ, "TMPDIR": "/proc/none"}
    done = subprocess.run(
        [*project.command()[:1], "-c", script, "doctor", str(project.folder)],
        cwd=project.folder, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "TMPDIR=" in done.stderr


def test_a_deleted_current_folder_is_reported(project: Project) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *project.command("doctor")],
        cwd=project.folder, env=dict(project.environ), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "current folder no longer exists" in done.stderr


@pytest.mark.skipif(not ROOT, reason="only root can make a folder of another user")
def test_a_planted_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    from cryptoml.system.environment import private_folder

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    planted = tmp_path / f"cryptoml-{os.getuid()}"
    planted.mkdir()
    os.chown(planted, 54321, 54321)
    folder = private_folder("home")
    assert not folder.is_relative_to(planted)
    assert folder.is_dir()
    assert folder.parent.stat().st_uid == os.getuid()
