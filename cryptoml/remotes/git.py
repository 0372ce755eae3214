"""Read the state of the project's git repository; most functions return None without git or a repository."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptoml.errors import ConfigError

GIT_TIMEOUT_S = 10
# git sets these for hooks and aliases; if inherited, our calls would use another repository or index.
REPOSITORY_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_QUARANTINE_PATH",
)
# Treat file names literally, not as patterns; get git's messages in English.
FIXED = {"GIT_LITERAL_PATHSPECS": "1", "LC_ALL": "C"}


def environment() -> Mapping[str, str]:
    """Return the environment for git calls, without a hook's variables, so that git uses the repository of -C."""
    # Read each variable by name, because a DVC session in another thread may remove variables.
    variables = {name: os.environ.get(name) for name in list(os.environ) if name not in REPOSITORY_VARIABLES}
    return {name: value for name, value in variables.items() if value is not None} | FIXED


def output(folder: Path, *arguments: str) -> str | None:
    """Run git in `folder`; return its output without the final newline, or None if it fails or is not installed."""
    done = _call(folder, *arguments)
    return done.stdout.rstrip("\n") if done is not None and done.returncode == 0 else None


def ignores(folder: Path, path: str) -> bool:
    """Return whether git ignores `path`, which need not exist."""
    # check-ignore does not support GIT_LITERAL_PATHSPECS.
    done = _call(folder, "check-ignore", "--quiet", path, without=("GIT_LITERAL_PATHSPECS",))
    return done is not None and done.returncode == 0


def ownership_error(folder: Path) -> ConfigError | None:
    """Return the error if another user owns the repository, so that git refuses to read it; else None."""
    done = _call(folder, "rev-parse", "--git-dir")
    if done is not None and done.returncode and "dubious ownership" in done.stderr:
        start = folder.resolve()
        root = next((parent for parent in (start, *start.parents) if (parent / ".git").exists()), start)
        return ConfigError(
            f"{root}: git does not read this repository because another user owns it (dubious ownership).",
            hint=f"git config --global --add safe.directory '{root}'",
        )
    return None


def current_commit(folder: Path) -> str | None:
    """Return the full hash of HEAD, with "-dirty" if tracked files differ from it; None without a commit."""
    commit = output(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return None
    return f"{commit}-dirty" if output(folder, "status", "--porcelain", "--untracked-files=no") else commit


def commit_tag(folder: Path) -> str:
    """Return the value of a run's `git_commit` tag: the hash, "none" without a commit, "unknown" if git fails."""
    return current_commit(folder) or ("unknown" if ownership_error(folder) else "none")


def commit_that_wrote(folder: Path, path: Path, text: str) -> str | None:
    """Return the full hash of the latest commit on any branch that added `text` to `path`; None if there is none."""
    # Include HEAD, which may be detached.
    for start in ("--all", "HEAD"):
        commits = output(folder, "log", start, "--format=%H", f"-S{text}", "--", str(path)) or ""
        for commit in commits.split():
            # git also lists the commit that removed the text.
            if text in (output(path.parent, "show", f"{commit}:./{path.name}") or ""):
                return commit
    return None


def author_name(folder: Path) -> str:
    """Return git's user name, else the login name, else "unknown"."""
    name = output(folder, "config", "user.name")
    if name:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _call(folder: Path, *arguments: str, without: Sequence[str] = ()) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=GIT_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env={name: text for name, text in environment().items() if name not in without},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
