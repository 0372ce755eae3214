"""Set the git remote and its credentials, update `.gitignore`, and push the branches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptoml.errors import ConfigError
from cryptoml.remotes import env_file, git, git_remote
from cryptoml.remotes.dagshub import Addresses
from cryptoml.system.plurals import counted
from cryptoml.workflows.setup.records import NOTHING, Part

REMOTE = "dagshub"
IGNORED = (".env", ".env.bak", "/.cryptoml/", "/mlflow.db*", "/mlartifacts/", ".*.lock")


def git_urls(folder: Path) -> dict[str, str]:
    """Return the URLs of the git remotes by name; empty without a repository."""
    return dict(git_remote.remote_urls(folder)) if git_remote.is_repository(folder) else {}


def connect_git(
    folder: Path,
    at: Addresses,
    token: str,
    *,
    force: bool,
    dry_run: bool,
    on_failure: Callable[[Callable[[], object]], None],
) -> tuple[str, Part]:
    """Set the git remote and its credentials; return the remote's name and the part.

    The remote is `origin`, or `dagshub` if `origin` points to another host. on_failure: registers a callback that
    removes the stored credentials. Raise ConfigError if the remote points to another repository, unless `force` is set.
    """
    is_new = not git_remote.is_repository(folder)
    urls = git_urls(folder)
    elsewhere = "origin" in urls and git_remote.slug_at(urls["origin"], at.host) is None
    name = REMOTE if elsewhere else "origin"
    before = urls.get(name, NOTHING)
    if not force:
        _check_remote(name, before, at)
    shown = git_remote.without_secrets(before)
    after = f"{name} {at.git}"
    if dry_run:
        return name, Part("git", shown, after if before != at.git else shown)
    if is_new:
        git_remote.run(folder, "init", "--quiet")
    if before != at.git:
        git_remote.set_remote(folder, name, at.git)
    if not git_remote.has_credential_helper(folder, at.git):
        git_remote.use_credential_store(folder, at.git)
    if git_remote.stored_password(folder, at.git) != token:
        git_remote.store_credentials(folder, at.git, token)
        on_failure(lambda: git_remote.forget_credentials(folder, at.git, token))
    branches = git_remote.count_branches(folder, name)
    return name, Part(
        "git", after if before == at.git else shown, after, f"git ls-remote: {counted(branches, 'branch', 'branches')}"
    )


def _check_remote(name: str, before: str, at: Addresses) -> None:
    slug = git_remote.slug_at(before, at.host)
    if slug is not None and slug.lower() != at.slug.lower():
        raise ConfigError(
            f"git remote {name} points to {slug}, not to {at.slug}.",
            hint=f"keep it with --repo {slug}, or replace it with --force",
        )
    if name == REMOTE and before != NOTHING and slug is None:
        raise ConfigError(
            f"git remote {name} points to {git_remote.without_credentials(before)}.", hint="replace it with --force"
        )


def ignore_files(folder: Path, *, dry_run: bool) -> Part | None:
    """Add secrets and generated files to `.gitignore`; None if they are already ignored or there is no repository.

    Raise ConfigError if `.env` is tracked.
    """
    if not git_remote.is_repository(folder):
        return None
    if git.output(folder, "ls-files", "--error-unmatch", ".env") is not None:
        raise ConfigError(
            f"{folder / '.env'}: is tracked by git, which would publish the token.",
            hint="git rm --cached .env, then commit; create a new token if the file contained one",
        )
    missing = [line for line in IGNORED if not git.ignores(folder, _example(line))]
    if not missing:
        return None
    if not dry_run:
        path = folder / ".gitignore"
        text = env_file.read_text(path)
        path.write_text(text + ("" if not text or text.endswith("\n") else "\n") + "\n".join(missing) + "\n")
    return Part(".gitignore", NOTHING, ", ".join(missing), "" if dry_run else "git check-ignore")


def _example(line: str) -> str:
    """Return a path that a line of .gitignore matches; for a folder, a path inside it."""
    name = line.strip("/").replace("*", "")
    return f"{name}/x" if line.endswith("/") else name


def push_branches(folder: Path, remote: str, branches: tuple[str, ...]) -> Part | None:
    """Push the current branch and `branches`, creating missing ones; None without a commit."""
    current = git_remote.run(folder, "symbolic-ref", "--short", "HEAD").strip()
    if git.current_commit(folder) is None:
        return None
    pushed = []
    for branch in (current, *(one for one in branches if one != current)):
        if git.output(folder, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}") is None:
            git_remote.run(folder, "branch", branch, current)
        git_remote.push(folder, remote, branch, branch, track=branch == current)
        pushed.append(branch)
    return Part("push", NOTHING, ", ".join(pushed), f"git push {remote}")
