"""Commit the `.dvc` files of a push, and check in advance whether a commit is possible."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptoml.errors import CheckFailedError, ConfigError, CryptomlError, UnavailableError
from cryptoml.remotes import git, git_remote

LOCK_TIMEOUT_S = 5.0
POLL_S = 0.2
IDENTITY_HINT = 'git config user.name "Your Name" && git config user.email you@example.org'
# Files in git's folder that show an unfinished operation, and the command of that operation.
UNFINISHED = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}


def check_can_commit(folder: Path) -> str | None:
    """Raise ConfigError or UnavailableError if a commit would fail; return a note if HEAD is detached."""
    unsafe = git.ownership_error(folder)
    if unsafe is not None:
        raise unsafe
    if not git_remote.is_repository(folder):
        raise ConfigError(f"{folder}: is not a git repository.", hint="git init, or run without --commit")
    git_dir = Path(git_remote.run(folder, "rev-parse", "--absolute-git-dir").strip())
    for name, operation in UNFINISHED.items():
        if (git_dir / name).exists():
            raise ConfigError(
                f"{folder}: a git {operation} is in progress; nothing was pushed or committed.",
                hint=f"git {operation} --continue or --abort, or push without --commit",
            )
    if (
        git.output(folder, "var", "GIT_AUTHOR_IDENT") is None
        or git.output(folder, "var", "GIT_COMMITTER_IDENT") is None
    ):
        raise ConfigError(f"{folder}: git has no name or e-mail address for commits.", hint=IDENTITY_HINT)
    _wait_for_index(git_dir / "index.lock")
    if git.output(folder, "symbolic-ref", "--quiet", "HEAD") is None:
        return "HEAD is detached, so the commit is on no branch; keep it with git switch -c NAME"
    return None


def commit(folder: Path, names: Sequence[str], message: str) -> str | None:
    """Commit only these files; return the commit's hash, or None if nothing changed."""
    try:
        git_remote.run(folder, "add", "--", *names)
        if git.output(folder, "diff", "--cached", "--quiet", "--", *names) is not None:
            return None
        git_remote.run(folder, "commit", "--quiet", "-m", message, "--", *names)
    except CryptomlError as error:
        raise _commit_error(folder, error) from error
    return git.output(folder, "rev-parse", "HEAD")


def _commit_error(folder: Path, error: CryptomlError) -> CryptomlError:
    status = "The data were pushed and the .dvc files written, but not committed"
    next_step = "then: cryptoml push-data --commit"
    low = error.fact.lower()
    if "gpg" in low or "sign the" in low or "signing" in low:
        return ConfigError(
            f"{status}: git could not sign the commit: {error.fact}",
            hint=f"fix the key (gpg --list-secret-keys), or git config commit.gpgsign false; {next_step}",
        )
    if "index.lock" in low or isinstance(error, UnavailableError):
        return UnavailableError(
            f"{status}: {error.fact}", hint=f"wait for the other git process, or remove a stale index.lock; {next_step}"
        )
    hooks = git.output(folder, "rev-parse", "--git-path", "hooks")
    hook = _hook(folder / hooks) if hooks else None
    if hook is not None:
        return CheckFailedError(
            f"{status}: the hook {hook} may have rejected it: {error.fact}", hint=f"check its output; {next_step}"
        )
    return type(error)(f"{status}: {error.fact}", hint=f"{error.hint}; {next_step}" if error.hint else next_step)


def _hook(folder: Path) -> str | None:
    for name in ("pre-commit", "prepare-commit-msg", "commit-msg"):
        path = folder / name
        if path.is_file() and path.stat().st_mode & 0o111:
            return name
    return None


def _wait_for_index(lock: Path) -> None:
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    retrying = Retrying(retry=retry_if_result(bool), wait=wait_fixed(POLL_S), stop=stop_after_delay(LOCK_TIMEOUT_S))
    try:
        retrying(lock.exists)
    except RetryError:
        raise UnavailableError(
            f"{lock}: another git process holds the index; nothing was pushed or committed.",
            hint=f"wait until it has ended; if none is running: rm '{lock}'",
        ) from None
