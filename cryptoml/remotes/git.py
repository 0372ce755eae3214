"""What git knows about the project; most functions answer None when there is no git or no repository."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptoml.errors import ConfigError

GIT_TIMEOUT_S = 10
# git sets these for the hooks and aliases it runs; inherited, they send our calls to another repository or index.
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
# Names of files are names, not patterns; what git says is in English.
FIXED = {"GIT_LITERAL_PATHSPECS": "1", "LC_ALL": "C"}


def environment() -> Mapping[str, str]:
    """The environment of every git call: the repository is the one that -C names, whatever a hook has set."""
    # Name by name: a DVC session in another thread may remove a variable at any moment.
    found = {name: os.environ.get(name) for name in list(os.environ) if name not in REPOSITORY_VARIABLES}
    return {name: value for name, value in found.items() if value is not None} | FIXED


def output(folder: Path, *arguments: str) -> str | None:
    """Run git in `folder`; its output without the last line end, or None when it fails or is not there."""
    done = _call(folder, *arguments)
    return done.stdout.rstrip("\n") if done is not None and done.returncode == 0 else None


def ignores(folder: Path, path: str) -> bool:
    """Whether git ignores `path`, which need not exist."""
    # check-ignore is the one command that refuses GIT_LITERAL_PATHSPECS.
    done = _call(folder, "check-ignore", "--quiet", path, without=("GIT_LITERAL_PATHSPECS",))
    return done is not None and done.returncode == 0


def ownership_error(folder: Path) -> ConfigError | None:
    """Why git refuses to read a repository that is there, or None: it reads it, or there is none."""
    done = _call(folder, "rev-parse", "--git-dir")
    if done is not None and done.returncode and "dubious ownership" in done.stderr:
        owned = folder.resolve()
        place = next((one for one in (owned, *owned.parents) if (one / ".git").exists()), owned)
        return ConfigError(
            f"{place}: git does not read this repository: it belongs to another user (dubious ownership).",
            hint=f"git config --global --add safe.directory '{place}'",
        )
    return None


def current_commit(folder: Path) -> str | None:
    """The full hash of HEAD, with "-dirty" when tracked files differ from it."""
    commit = output(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return None
    return f"{commit}-dirty" if output(folder, "status", "--porcelain", "--untracked-files=no") else commit


def commit_tag(folder: Path) -> str:
    """What a run's `git_commit` says: the hash, "none" without a commit, "unknown" where git refuses to tell."""
    return current_commit(folder) or ("unknown" if ownership_error(folder) else "none")


def commit_that_wrote(folder: Path, path: Path, text: str) -> str | None:
    """The full hash of the newest commit, on any branch, that put `text` into `path`; None when it is in none."""
    # HEAD is asked too: it may be on no branch.
    for start in ("--all", "HEAD"):
        found = output(folder, "log", start, "--format=%H", f"-S{text}", "--", str(path)) or ""
        for commit in found.split():
            # The commit that took the text out is listed too.
            if text in (output(path.parent, "show", f"{commit}:./{path.name}") or ""):
                return commit
    return None


def author_name(folder: Path) -> str:
    """git's user name, else the login name, else "unknown"."""
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
