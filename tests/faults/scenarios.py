"""The commands that meet faults: how a case is prepared, how it is healed, and what must be true in the end."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import Project
from tests.faults.accounts import Books, announced, check_leftovers, check_production, check_runs
from tests.faults.world import DATA, QUICK, World, write_data

TOKEN_FILES = (".dvc/config.local", ".env")


@dataclass(frozen=True)
class Case:
    """One command about to be run. heal: commands that must end with 0 once the fault is over, in this order."""

    project: Project
    command: tuple[object, ...]
    heal: tuple[tuple[object, ...], ...]
    check: Callable[[], list[str]]
    on_problem: Callable[[], None] = field(default=lambda: None)


def _sync(world: World, url: str, name: str) -> Case:
    project = world.project(name, url)
    world.journal_copy(project.folder, experiment=name, model=name)
    return Case(project, ("sync",), (("sync",),), lambda: _runs(world, project, name))


def _train(world: World, url: str, name: str) -> Case:
    project = world.project(name, url, like=world.candles)
    command = ("train", "--data", DATA, "--models", "ridge", *QUICK, "--set", f"registry.model_name={name}", "--json")
    return Case(project, command, (("sync",),), lambda: _runs(world, project, name))


def _train_locally(world: World, url: str, name: str) -> Case:
    """The store is SQLite in the project, and there already."""
    return _on_sqlite(world.project(name, url, like=world.with_sqlite))


def _train_first(world: World, url: str, name: str) -> Case:
    """The store is SQLite in the project, and the training makes it."""
    return _on_sqlite(world.project(name, url, like=world.candles))


def _on_sqlite(project: Project) -> Case:
    environ = {key: text for key, text in project.environ.items() if not key.startswith("DAGSHUB_")}
    local = Project(project.folder, environ)
    command = ("train", "--data", DATA, "--models", "ridge", *QUICK, "--json")

    def check() -> list[str]:
        from mlflow import MlflowClient

        if not (local.folder / "mlflow.db").exists():
            return [f"{record.run_name}: there is no store" for _, record in announced(local.folder)]
        address = f"sqlite:///{local.folder / 'mlflow.db'}"
        return check_runs(
            Books(MlflowClient(address, registry_uri=address)), local.folder, (environ["MLFLOW_EXPERIMENT_NAME"],)
        )

    return Case(local, command, (("sync",),), check)


def _runs(world: World, project: Project, experiment: str) -> list[str]:
    stray = [f"a stray {path.name}" for path in project.folder.glob("mlflow.db*")]
    return check_runs(world.books, project.folder, (experiment,)) + stray


def _register(world: World, url: str, name: str) -> Case:
    run = world.trained["ridge"]
    project = world.project(name, url, like=world.candles)
    command = ("register", run, "--set", f"registry.model_name={name}", "--set", "gate.min_skill=-1", "--json")

    def check() -> list[str]:
        found = world.client.search_model_versions(f"name = '{name}'")
        problems = [f"{len(found)} versions instead of 1"] if len(found) != 1 else []
        for one in found:
            if (one.run_id, one.status) != (run, "READY") or not one.description or "run_name" not in one.tags:
                problems.append(f"v{one.version} is not whole: {one.status}, {one.description!r}, {sorted(one.tags)}")
        return problems + check_leftovers(project.folder)

    return Case(project, command, (command,), check)


class Line:
    """A registered model whose two versions take turns in production, case after case."""

    def __init__(self, world: World, url: str, name: str) -> None:
        self.name = name
        self.turn = 0
        self.project = world.project(name, url, like=world.candles)
        world.new_model(name)


_lines: dict[str, Line] = {}


def _promote(world: World, url: str, name: str) -> Case:
    if url not in _lines:
        _lines[url] = Line(world, url, name)
    line = _lines[url]
    line.turn += 1
    project, number = line.project, str(2 - line.turn % 2)
    # The model is fetched anew each time.
    shutil.rmtree(project.folder / ".cryptoml" / "models", ignore_errors=True)
    options = ("--set", f"registry.model_name={line.name}")
    command = ("promote", f"v{number}", "production", "--force", "--reason", f"case {name}", *options)

    def check() -> list[str]:
        told = project.run("promote", "--history", *options, "--json")
        problems = [] if told.code == 0 else [f"promote --history ends with {told.code}: {told.out} {told.err}"]
        problems += _entries(told.json().get("entries"), f"case {name}")
        return problems + check_production(world.books, line.name, number) + check_leftovers(project.folder)

    return Case(project, command, (command,), check, lambda: drop_line(url))


def _entries(entries: object, reason: str) -> list[str]:
    """Whether a promotion, which may go through staging, is in the ledger once."""
    assert isinstance(entries, list)
    steps = [one["to_stage"] for one in entries if one["reason"] == reason]
    whole = steps[-1:] == ["production"] and len(set(steps)) == len(steps)
    return [] if whole else [f"the ledger's entries of this promotion are {steps}"]


def drop_line(url: str) -> None:
    """Have the next case of this proxy begin with a new registered model."""
    _lines.pop(url, None)


def _connected(world: World, url: str, name: str, slug: str) -> Project:
    """A copy of the project that has pushed, connected through the proxy to the repository `slug`."""
    source, old = world.pushed
    project = world.project(name, url, like=source, slug=slug, git=True)
    shutil.rmtree(project.folder / ".dvc" / "cache", ignore_errors=True)
    for file in (".dvc/config", ".dvc/config.local", ".git/config"):
        path = project.folder / file
        path.write_text(path.read_text().replace(world.standin.url, url).replace(old, slug))
    return project


def _push(world: World, url: str, name: str) -> Case:
    slug = world.standin.state.new_repository(world.owner, name).slug
    project = _connected(world, url, name, slug)
    write_data(project.folder, name)
    command = ("push-data", "-m", f"case {name}", "--json")

    def check() -> list[str]:
        stored = world.standin.state.dvc_folder(slug)
        problems = []
        for path in sorted((project.folder / "data" / "raw").glob("*.csv")):
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            there = stored / "files" / "md5" / digest[:2] / digest[2:]
            if not there.is_file() or there.read_bytes() != path.read_bytes():
                problems.append(f"{path.name} is not in the remote as it is here")
            if digest not in Path(f"{path}.dvc").read_text():
                problems.append(f"{path.name}.dvc does not pin the file")
        commits = _git(project, "log", "--format=%s").splitlines().count(f"case {name}")
        if commits != 1:
            problems.append(f"{commits} commits instead of 1")
        return problems + check_leftovers(project.folder)

    return Case(project, command, (command,), check)


def _pull(world: World, url: str, name: str) -> Case:
    source, slug = world.pushed
    project = _connected(world, url, name, slug)
    wanted = {path.name: path.read_bytes() for path in (source / "data" / "raw").glob("*.csv")}
    for file in wanted:
        (project.folder / "data" / "raw" / file).unlink()
    command = ("pull-data", "--json")

    def check() -> list[str]:
        here = {path.name: path.read_bytes() for path in (project.folder / "data" / "raw").glob("*.csv")}
        problems = [] if here == wanted else [f"the files are not those that were pushed: {sorted(here)}"]
        changed = _git(project, "status", "--porcelain", "--untracked-files=no", "--", "data")
        return problems + ([f"git sees changes: {changed}"] if changed else []) + check_leftovers(project.folder)

    return Case(project, command, (command,), check)


def _setup(world: World, url: str, name: str) -> Case:
    slug = world.standin.state.new_repository(world.owner, name).slug
    project = world.project(name, url, slug=slug, git=True)
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(project.folder)], check=True)
    command = ("setup-remotes",)

    def check() -> list[str]:
        problems = []
        if f"{url}/{slug}.dvc" not in (project.folder / ".dvc" / "config").read_text():
            problems.append("DVC's remote is not set")
        if (project.folder / ".dvc" / "config.local").stat().st_mode & 0o077:
            problems.append(".dvc/config.local can be read by others")
        if f"{slug}.git" not in _git(project, "remote", "-v"):
            problems.append("git's remote is not set")
        return problems + check_leftovers(project.folder)

    return Case(project, command, (command,), check)


def _git(project: Project, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(project.folder), *arguments], env=project.environ, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


SCENARIOS: dict[str, Callable[[World, str, str], Case]] = {
    "sync": _sync,
    "train": _train,
    "train-sqlite": _train_locally,
    "train-first": _train_first,
    "register": _register,
    "promote": _promote,
    "push-data": _push,
    "pull-data": _pull,
    "setup-remotes": _setup,
}
