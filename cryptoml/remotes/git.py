"""What git knows about the project; every function answers None when there is no git or no repository."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

GIT_TIMEOUT_S = 10


def ask(folder: Path, *arguments: str) -> str | None:
    """Run git in `folder`; its output without the last line end, or None when it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.rstrip("\n") if done.returncode == 0 else None


def current_commit(folder: Path) -> str | None:
    """The full hash of HEAD, with "-dirty" when tracked files differ from it."""
    commit = ask(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit}-dirty" if ask(folder, "status", "--porcelain", "--untracked-files=no") else commit


def commit_that_wrote(folder: Path, path: Path, text: str) -> str | None:
    """The full hash of the newest commit, on any branch, that put `text` into `path`; None when it is in none."""
    found = ask(folder, "log", "--all", "--format=%H", f"-S{text}", "--", str(path)) or ""
    for commit in found.split():
        # The commit that took the text out is listed too.
        if text in (ask(path.parent, "show", f"{commit}:./{path.name}") or ""):
            return commit
    return None


def author_name(folder: Path) -> str:
    """git's user name, else the login name, else "unknown"."""
    name = ask(folder, "config", "user.name")
    if name:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
