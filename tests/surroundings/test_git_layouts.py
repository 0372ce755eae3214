"""A project wherever git lets one be: its data are pushed, committed to its own repository, and pulled again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Project


def git(project: Project, folder: Path, *arguments: str) -> str:
    environ = {**project.environ, "GIT_ALLOW_PROTOCOL": "file"}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def repository(project: Project, folder: Path) -> Path:
    """A repository with two commits."""
    folder.mkdir(parents=True, exist_ok=True)
    git(project, folder, "init", "--quiet", "-b", "main")
    for number in (1, 2):
        (folder / "README").write_text(f"{number}\n")
        git(project, folder, "add", "README")
        git(project, folder, "commit", "--quiet", "-m", f"Commit {number}")
    return folder


def subfolder(project: Project, root: Path) -> Path:
    repository(project, root / "monorepo")
    (root / "monorepo" / "services" / "model").mkdir(parents=True)
    return root / "monorepo" / "services" / "model"


def worktree(project: Project, root: Path) -> Path:
    git(project, repository(project, root / "main"), "worktree", "add", "--quiet", "-b", "side", str(root / "linked"))
    return root / "linked"


def submodule(project: Project, root: Path) -> Path:
    inner, outer = repository(project, root / "inner"), repository(project, root / "outer")
    git(project, outer, "submodule", "add", "--quiet", str(inner), "model")
    git(project, outer, "commit", "--quiet", "-m", "Add the submodule")
    return outer / "model"


def shallow(project: Project, root: Path) -> Path:
    origin = repository(project, root / "origin")
    git(project, root, "clone", "--quiet", "--depth", "1", origin.as_uri(), "shallow")
    return root / "shallow"


def detached(project: Project, root: Path) -> Path:
    folder = repository(project, root / "detached")
    git(project, folder, "checkout", "--quiet", "--detach")
    return folder


@pytest.mark.parametrize("layout", [subfolder, worktree, submodule, shallow, detached], ids=lambda one: one.__name__)
def test_data_are_versioned_in_the_repository_that_holds_the_project(
    project: Project, tmp_path: Path, layout: Callable[[Project, Path], Path]
) -> None:
    config = Path(project.environ["GIT_CONFIG_GLOBAL"])
    for name, text in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        subprocess.run(["git", "config", "--file", str(config), name, text], check=True)
    folder = layout(project, tmp_path / "place")
    (folder / ".cryptoml").mkdir()
    at = replace(project, folder=folder)
    data = folder / "data" / "raw" / "a.csv"
    data.parent.mkdir(parents=True)
    data.write_text("timestamp,close\n2024-01-01,1\n")
    before = git(at, folder, "rev-parse", "HEAD")
    assert at.run("setup-remotes", "--local").code == 0
    pushed = at.run("push-data", "data/raw/a.csv", "--commit", "--json")
    assert pushed.code == 0, pushed.err
    assert ("detached" in pushed.err) == (layout in (detached,))
    head = git(at, folder, "rev-parse", "HEAD")
    assert pushed.json()["commit"] == head
    assert git(at, folder, "rev-parse", "HEAD^") == before
    changed = git(at, folder, "show", "--name-only", "--format=", "HEAD").splitlines()
    assert [name for name in changed if name.endswith("data/raw/a.csv.dvc")]
    kept = data.read_bytes()
    data.unlink()
    shutil.rmtree(folder / ".dvc" / "cache", ignore_errors=True)
    pulled = at.run("pull-data", "data/raw/a.csv", "--rev", head)
    assert pulled.code == 0, pulled.err
    assert data.read_bytes() == kept
