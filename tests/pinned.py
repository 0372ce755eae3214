"""A git repository with DVC and a folder as its remote, used in this process."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from cryptoml.remotes.dvc import project as dvc_project
from cryptoml.remotes.dvc.requests import DataResult
from cryptoml.settings import Settings, load_settings


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def dvc(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments, "-q"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def make_pinned(parent: Path) -> Path:
    """A git repository and DVC project in parent/work, whose default remote is the folder parent/store."""
    work = parent / "work"
    work.mkdir()
    git(work, "init", "--quiet", "-b", "main")
    for name, text in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        git(work, "config", name, text)
    dvc_project.init_project(work)
    config = work / ".dvc" / "config"
    config.write_text(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {parent / 'store'}\n")
    git(work, "add", "-A")
    git(work, "commit", "--quiet", "-m", "set-up")
    return work


def settings(folder: Path) -> Settings:
    return load_settings(cwd=folder)


def forget(folder: Path) -> None:
    """Lose the data files and the cache, as a fresh clone has neither."""
    shutil.rmtree(folder / ".dvc" / "cache", ignore_errors=True)
    for path in folder.rglob("*.csv"):
        path.unlink()


def states(result: DataResult) -> dict[str, str]:
    return {one.path: one.state for one in result.files}
