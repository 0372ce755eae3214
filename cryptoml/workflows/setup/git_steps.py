"""The git remote with its credentials, what git ignores, and the first push."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptoml.errors import ConfigError
from cryptoml.remotes import env_file, git, git_remote
from cryptoml.remotes.dagshub import Addresses
from cryptoml.workflows.setup.records import NOTHING, Part

REMOTE = "dagshub"
IGNORED = (".env", ".env.bak", "/.cryptoml/", "/mlflow.db*", "/mlartifacts/", ".*.lock")


def git_urls(folder: Path) -> dict[str, str]:
    """The URLs of the git remotes by name; none where there is no repository."""
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
    """Set the git remote and its credentials; the remote's name and what was done.

    The remote is `origin`, or `dagshub` where `origin` points to another host. `on_failure` takes what removes the
    credentials again. Raises ConfigError where the remote points to another repository, unless `force` is set.
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
    return name, Part("git", after if before == at.git else shown, after, f"git ls-remote: {branches} branches")


def _check_remote(name: str, before: str, at: Addresses) -> None:
    slug = git_remote.slug_at(before, at.host)
    if slug is not None and slug.lower() != at.slug.lower():
        raise ConfigError(
            f"git remote {name} points to {slug}, not to {at.slug}.",
            hint=f"--repo {slug} keeps it, --force changes it",
        )
    if name == REMOTE and before != NOTHING and slug is None:
        raise ConfigError(
            f"git remote {name} points to {git_remote.without_credentials(before)}.", hint="--force changes it"
        )


def ignore_files(folder: Path, *, dry_run: bool) -> Part | None:
    """Keep secrets and generated files out of git; None when they are ignored already, or without a repository.

    Raises ConfigError where `.env` is tracked.
    """
    if not git_remote.is_repository(folder):
        return None
    if git.output(folder, "ls-files", "--error-unmatch", ".env") is not None:
        raise ConfigError(
            f"{folder / '.env'}: is tracked by git, and a token in it would be published.",
            hint="git rm --cached .env, then commit; make a new token if one was in it",
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
    """A path that the line of .gitignore is about; git asks for one inside a folder."""
    name = line.strip("/").replace("*", "")
    return f"{name}/x" if line.endswith("/") else name


def push_branches(folder: Path, remote: str, branches: tuple[str, ...]) -> Part | None:
    """Push the current branch and `branches`, which are created where they are missing; None without a commit."""
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
