"""What every test gets: a clean environment, its own home and folder, loopback only."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.standin.server import Standin
from tests.warm_start import run_warm

if TYPE_CHECKING:
    from tests.lab import Lab

REPOSITORY = Path(__file__).resolve().parents[1]
# The fault campaign, which is no test, starts an interpreter for every command.
FRESH = bool(os.environ.get("CRYPTOML_FULL")) or "PYTEST_VERSION" not in os.environ
# Read when the interpreter, the C library or a numerical library starts.
START_PREFIXES = ("PYTHON", "LD_", "LANG", "LC_", "TZ", "OMP_", "OPENBLAS_", "MKL_")
OUR_PREFIXES = ("CRYPTOML_", "MLFLOW_", "DVC_", "DAGSHUB_", "AIRFLOW_", "GIT_")


def clean_environ(home: Path) -> dict[str, str]:
    """The environment without anything that could steer cryptoml, with `home` as HOME."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith(OUR_PREFIXES)}
    home.mkdir(parents=True, exist_ok=True)
    return environ | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "COLUMNS": "200",
        "NO_COLOR": "1",
        # The dvc command tells its makers of each call otherwise, by a process and a file in the temporary folder.
        "DVC_NO_ANALYTICS": "1",
    }


def read_at_start(environ: Mapping[str, str]) -> bool:
    """Whether it differs from this process's environment in what has its effect when a process starts."""
    return any(
        environ.get(name) != os.environ.get(name) for name in {*environ, *os.environ} if name.startswith(START_PREFIXES)
    )


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    for name, text in clean_environ(home).items():
        monkeypatch.setenv(name, text)
    for name in list(os.environ):
        if name.startswith(OUR_PREFIXES) and not name.startswith("GIT_CONFIG"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # MLflow adds the code of each loaded model to the path.
    monkeypatch.setattr(sys, "path", [*sys.path])


@dataclass(frozen=True)
class Done:
    """A command that ended: its exit code and its two streams."""

    code: int
    out: str
    err: str

    def envelope(self) -> dict[str, Any]:
        """What --json printed: all of standard output, checked against the command's schema."""
        from tests.json_schemas import check_envelope

        (line,) = self.out.splitlines()
        return check_envelope(line, self.code)

    def json(self) -> dict[str, Any]:
        """The result in that document."""
        result: dict[str, Any] = self.envelope()["result"]
        return result


@dataclass(frozen=True)
class Project:
    """A folder in which the real `cryptoml` command is run as a user would, in a process of its own.

    The process is forked with its libraries imported (tests/warm_start.py). It is a new interpreter with `fresh`,
    and where the environment has other values of variables that are read at its start.
    """

    folder: Path
    environ: Mapping[str, str]
    fresh: bool = field(default=FRESH, kw_only=True)

    def command(self, *arguments: object) -> list[str]:
        """The command line that starts cryptoml from this very environment."""
        return [sys.executable, "-m", "cryptoml", *map(str, arguments)]

    def run(
        self,
        *arguments: object,
        environ: Mapping[str, str] | None = None,
        timeout: float = 240,
        fresh: bool = False,
    ) -> Done:
        """Run `cryptoml ARGUMENTS` to its end, without a terminal."""
        whole = {**self.environ, **(environ or {})}
        if not (fresh or self.fresh or read_at_start(whole)):
            return Done(*run_warm([*map(str, arguments)], self.folder, whole, timeout))
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=whole,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Hub(Project):
    """A project beside a repository of the stand-in."""

    standin: Standin
    slug: str
    token: str

    @property
    def url(self) -> str:
        """The repository's page."""
        return f"{self.standin.url}/{self.slug}"

    def git(self, *arguments: str) -> str:
        """Run git in the project; what it says."""
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            env={**self.environ, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


def make_project(folder: Path) -> Project:
    """An empty project folder with a home of its own."""
    (folder / "work" / ".cryptoml").mkdir(parents=True)
    return Project(folder / "work", clean_environ(folder / "home"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project for one test."""
    return make_project(tmp_path)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A trained project; tests keep apart by registered models of their own."""
    from tests.lab import make_lab

    return make_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def standin_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    """The stand-in for DagsHub, one for all tests of a session."""
    with Standin(tmp_path_factory.mktemp("standin")) as server:
        yield server


@pytest.fixture
def standin(standin_server: Standin) -> Iterator[Standin]:
    """The stand-in in its mode `full`, with an empty request log."""
    standin_server.state.reset()
    yield standin_server
    standin_server.state.reset()


@pytest.fixture
def hub(standin: Standin, project: Project) -> Hub:
    """A git project that knows a fresh repository of the stand-in by its environment alone."""
    # Started here, so that no command under test waits for it.
    standin.mlflow.port()
    repository = standin.state.new_repository(standin.state.owner, f"coins-{secrets.token_hex(4)}")
    git = ["git", "-C", str(project.folder)]
    subprocess.run([*git, "init", "--quiet", "-b", "main"], check=True)
    for name, text in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        subprocess.run(["git", "config", "--file", project.environ["GIT_CONFIG_GLOBAL"], name, text], check=True)
    token = standin.state.token_of(standin.state.owner)
    environ = {
        "DAGSHUB_CLIENT_HOST": standin.url,
        "DAGSHUB_USERNAME": standin.state.owner,
        "DAGSHUB_REPO": repository.slug,
        "DAGSHUB_TOKEN": token,
        "CRYPTOML_STORE_TIMEOUT_S": "20",
    }
    return Hub(project.folder, {**project.environ, **environ}, standin, repository.slug, token)
