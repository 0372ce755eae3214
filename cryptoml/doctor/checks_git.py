"""Checks of git and of DVC's configuration, and that neither contains a secret."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from cryptoml.doctor.context import Context
from cryptoml.doctor.findings import Finding, check, error, ok, warning
from cryptoml.errors import CryptomlError
from cryptoml.remotes import git, git_commit, git_remote
from cryptoml.remotes.dvc import probe as dvc_probe
from cryptoml.remotes.dvc import project as dvc_project

SETUP = "cryptoml setup-remotes"
# Files in which tokens are committed most often; their complete history is searched.
SUSPECTS = (".env", ".env.bak", ".dvc/config", ".dvc/config.local")


@check("git")
def git_repository(context: Context) -> Iterator[Finding]:
    """git is installed, the project is a repository, and user.name is set."""
    if not git_remote.is_repository(context.folder):
        yield warning(f"{context.folder} is not a git repository, so data versions have no revision", "git init")
        return
    branch = git.output(context.folder, "symbolic-ref", "--short", "HEAD") or "no branch"
    remotes = ", ".join(f"{name} {git_remote.without_secrets(url)}" for name, url in context.git_urls.items())
    yield ok(f"branch {branch}, remotes: {remotes or 'none'}")
    if git.output(context.folder, "var", "GIT_AUTHOR_IDENT") is None:
        yield warning("git's user.name or user.email is not set", git_commit.IDENTITY_HINT)


@check("committed-secrets", needs=("git",))
def committed_secrets(context: Context) -> Iterator[Finding]:
    """No token is committed or part of a remote's URL."""
    is_clean = True
    if git.output(context.folder, "ls-files", "--error-unmatch", ".env") is not None:
        is_clean = False
        yield error(".env is tracked by git; the next push would publish its token", "git rm --cached .env")
    for name, url in context.git_urls.items():
        if git_remote.without_credentials(url) != url:
            is_clean = False
            plain = git_remote.without_credentials(url)
            yield error(
                f"the URL of git remote {name} contains a user name or a token",
                f"git remote set-url {name} {plain}, then {SETUP}",
                lambda name=name, plain=plain: git_remote.set_remote(context.folder, name, plain),  # type: ignore[misc]
            )
    config = context.folder / ".dvc" / "config"
    if config.is_file():
        text = config.read_text(encoding="utf-8", errors="replace")
        if "password" in text or "secret_access_key" in text or any(secret in text for secret in context.secrets):
            is_clean = False
            yield error(
                ".dvc/config, which is committed, contains a password",
                f"remove the line, {SETUP}, and create a new token: the old one is in git's history",
            )
    if context.secrets:
        tracked = git_remote.tracked_files_with(context.folder, context.secrets)
        past = git_remote.history_holds(context.folder, context.secrets, SUSPECTS)
        if tracked:
            is_clean = False
            yield error(f"tracked files contain a token: {', '.join(tracked[:5])}", "remove it, and create a new token")
        elif past:
            is_clean = False
            yield error(
                "an earlier commit contains a token", "revoke it and create a new one; pushed history cannot be changed"
            )
    if is_clean:
        yield ok("no token in git")


@check("git-credentials", needs=("git",), network=True)
def git_credentials(context: Context) -> Iterator[Finding]:
    """git reaches the DagsHub remote without asking for a password."""
    host = context.config.dagshub_host if context.settings else "https://dagshub.com"
    names = [name for name, url in context.git_urls.items() if git_remote.slug_at(url, host)]
    if not names:
        yield ok("no git remote on DagsHub")
        return
    try:
        branches = git_remote.count_branches(context.folder, names[0], timeout_s=2 * context.timeout_s)
        yield ok(f"remote {names[0]} is readable; branches: {branches}")
    except CryptomlError as failure:
        yield error(failure.fact.rstrip("."), failure.hint)


@check("dvc")
def dvc(context: Context) -> Iterator[Finding]:
    """The project is a DVC project with a default remote."""
    lost = context.folder / ".git" / ".dvc" / "config"
    if lost.is_file():
        yield warning("DVC does not read .git/.dvc/config, which dagshub.init wrote", f"rm {lost}; {SETUP}")
    if not dvc_project.is_project(context.folder):
        yield warning("not a DVC project, so data cannot be versioned", f"{SETUP}, or without an account: --local")
        return
    remote = dvc_project.default_remote(context.folder)
    if remote.is_http and find_spec("dvc_http") is None:
        yield error("the DVC remote uses http, but dvc-http is not installed", "pip install dvc-http")
    yield ok(f"default remote {remote.name}: {remote.url}")


@check("dvc-credentials", needs=("dvc",))
def dvc_credentials(context: Context) -> Iterator[Finding]:
    """The DVC remote's credentials are set on this machine."""
    remote = context.dvc_remote
    if remote is None or not remote.is_http:
        yield ok("not needed")
    elif remote.credentials:
        yield ok(f"user {remote.user}, password *** in .dvc/config.local")
    elif context.settings and dvc_probe.with_credentials(remote, context.settings).credentials:
        yield warning(
            "not in .dvc/config.local: cryptoml uses DAGSHUB_TOKEN instead, but dvc itself fails with 401",
            SETUP,
            lambda: _write_dvc_secret(context, remote),
        )
    else:
        yield error(
            "missing on this machine; pull and push fail with 401", f"put DAGSHUB_TOKEN into .env, then {SETUP}"
        )


@check("dvc-access", needs=("dvc",), network=True)
def dvc_access(context: Context) -> Iterator[Finding]:
    """The DVC remote responds and accepts the credentials."""
    if context.dvc_remote is None:
        return
    remote = context.dvc_remote
    if context.settings:
        remote = dvc_probe.with_credentials(remote, context.settings)
    if remote.is_http:
        dvc_probe.check_access(remote, timeout_s=context.timeout_s)
    else:
        dvc_probe.check_writable(context.folder, remote)
    yield ok(f"{remote.url} responds" if remote.is_http else f"{remote.url} is writable")


def _write_dvc_secret(context: Context, remote: dvc_project.DvcRemote) -> None:
    full = dvc_probe.with_credentials(remote, context.config)
    if full.user and full.password:
        dvc_project.set_secret(context.folder, full.name, user=full.user, password=full.password)
