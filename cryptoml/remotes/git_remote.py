"""Git remotes and credential helpers. Tokens are passed to git over standard input only."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.remotes import git

TIMEOUT_S = 60
# By default, git follows a redirect of the first request and then pushes to the other host.
NO_REDIRECTS = ("-c", "http.followRedirects=false")
# Never prompt: without a user at the terminal, git would hang.
NO_PROMPT = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}


def run(folder: Path, *arguments: str, stdin: str = "", timeout_s: float = TIMEOUT_S) -> str:
    """Run git in `folder` and return its output; raise ConfigError if git is not installed, and git's errors."""
    try:
        process = subprocess.run(
            ["git", "-C", str(folder), *NO_REDIRECTS, *arguments],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env={**git.environment(), **NO_PROMPT},
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigError("git is not installed.", hint="install git, for example: apt-get install git") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(
            f"git {arguments[0]} took longer than {timeout_s:g} s.", hint="try again later"
        ) from None
    if process.returncode:
        raise git_error(process.stderr, arguments[0])
    return process.stdout


def is_repository(folder: Path) -> bool:
    """Return whether `folder` is in a git work tree; raise ConfigError without git or if another user owns it."""
    try:
        return run(folder, "rev-parse", "--is-inside-work-tree").strip() == "true"
    except ConfigError as error:
        if "not installed" in error.fact or "dubious ownership" in error.fact:
            raise
        return False


def remote_urls(folder: Path) -> Mapping[str, str]:
    """Return the git remotes of the project: name -> address in the config."""
    try:
        text = run(folder, "config", "--get-regexp", r"^remote\..*\.url$")
    except CryptomlError:
        return {}
    pairs = (line.split(" ", 1) for line in text.splitlines() if " " in line)
    return {name.removeprefix("remote.").removesuffix(".url"): url for name, url in pairs}


def slug_at(url: str, host: str) -> str | None:
    """Return owner/name if `url` is a repository at `host`, ignoring credentials in it; else None."""
    parts, expected = urlsplit(url), urlsplit(host)
    if (parts.hostname, parts.port) != (expected.hostname, expected.port):
        return None
    match = re.fullmatch(r"/([\w.-]+/[\w.-]+?)(\.git)?/?", parts.path)
    return match[1] if match else None


def without_credentials(url: str) -> str:
    """Return the address without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


def set_remote(folder: Path, name: str, url: str) -> None:
    """Add the remote, or change its address."""
    if name in remote_urls(folder):
        run(folder, "remote", "set-url", name, url)
    else:
        run(folder, "remote", "add", name, url)


def has_credential_helper(folder: Path, url: str) -> bool:
    """Return whether git has a credential helper for the address."""
    try:
        return bool(run(folder, "config", "--get-urlmatch", "credential.helper", url).strip())
    except CryptomlError:
        return False


def use_credential_store(folder: Path, url: str) -> None:
    """Make git store this host's credentials in ~/.git-credentials (mode 0600), in this project only."""
    parts = urlsplit(url)
    run(folder, "config", f"credential.{parts.scheme}://{parts.netloc}.helper", "store")


def stored_password(folder: Path, url: str) -> str | None:
    """Return the password that git's credential helper has for the address; None if there is none."""
    try:
        credential = run(folder, "credential", "fill", stdin=_description(url))
    except CryptomlError:
        return None
    match = re.search(r"^password=(.+)$", credential, re.MULTILINE)
    return match[1] if match else None


def store_credentials(folder: Path, url: str, token: str) -> None:
    """Store the token in git's credential helper, as user and as password, which DagsHub accepts."""
    run(folder, "credential", "approve", stdin=_description(url, token))


def forget_credentials(folder: Path, url: str, token: str) -> None:
    """Remove the credentials that `store_credentials` stored."""
    run(folder, "credential", "reject", stdin=_description(url, token))


def count_branches(folder: Path, remote: str, *, timeout_s: float = TIMEOUT_S) -> int:
    """Query the remote with `git ls-remote`; return its number of branches."""
    return len(run(folder, "ls-remote", "--heads", remote, timeout_s=timeout_s).splitlines())


def tracked_files_with(folder: Path, secrets: Iterable[str]) -> list[str]:
    """Return the tracked files that contain a secret; the secrets are passed to git over standard input."""
    try:
        text = run(folder, "grep", "-z", "--name-only", "--fixed-strings", "-f", "-", stdin="\n".join(secrets) + "\n")
    except CryptomlError:
        # git grep exits with 1 if nothing matches.
        return []
    return [name for name in text.split("\0") if name]


def history_holds(folder: Path, secrets: Iterable[str], paths: Sequence[str]) -> bool:
    """Return whether a commit on any branch contains a secret in one of these files."""
    try:
        text = run(folder, "log", "--all", "--patch", "--format=", "--", *paths)
    except CryptomlError:
        return False
    return any(secret in text for secret in secrets)


def push(folder: Path, remote: str, source: str, branch: str, *, track: bool = False) -> None:
    """Push a commit or branch to a branch of the remote, never with force."""
    options = ["--set-upstream"] if track else []
    run(folder, "push", *options, remote, f"{source}:refs/heads/{branch}", timeout_s=600)


def git_error(text: str, doing: str) -> CryptomlError:
    """Translate git's standard error into an error with a hint."""
    lines = [line.partition(": ")[2] or line for line in text.splitlines() if line.startswith(("fatal:", "error:"))]
    reason = without_secrets(
        lines[0] if lines else text.strip().splitlines()[-1] if text.strip() else "no reason given"
    )
    low = text.lower()
    if "could not read username" in low or "could not read password" in low or "authentication failed" in low:
        return AccessError(f"git {doing}: missing or wrong credentials: {reason}.", hint="cryptoml setup-remotes")
    if "redirect" in low or re.search(r"error: 30[12378]\b", low):
        return AccessError(
            f"git {doing}: the server redirects to another address; nothing was sent there.",
            hint="check the address: git remote -v",
        )
    if "dubious ownership" in low:
        match = re.search(r"dubious ownership in repository at '([^']+)'", text)
        name = match[1] if match else "FOLDER"
        return ConfigError(
            f"{name}: git does not read this repository because another user owns it (dubious ownership).",
            hint=f"git config --global --add safe.directory '{name}'",
        )
    if "index.lock" in low:
        return UnavailableError(
            f"git {doing}: the index is locked by another git process: {reason}.",
            hint="wait until it has ended; if none is running, remove index.lock",
        )
    if "403" in low:
        return AccessError(
            f"git {doing}: the token lacks the permission (403).", hint="ask the owner for write permission"
        )
    if "not found" in low and "repository" in low:
        return AccessError(f"git {doing}: {reason}.", hint="check owner and name, or create it with --create")
    if any(
        sign in low for sign in ("resolve host", "connection refused", "failed to connect", "timed out", "error: 5")
    ):
        return UnavailableError(f"git {doing}: {reason}.", hint="check the network, or try again later")
    return ConfigError(f"git {doing}: {reason}.")


def without_secrets(text: str) -> str:
    """Return `text` with user and password in addresses masked."""
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1***@", text)


def _description(url: str, token: str | None = None) -> str:
    parts = urlsplit(url)
    lines = [f"protocol={parts.scheme}", f"host={parts.netloc}"]
    if token:
        lines += [f"username={token}", f"password={token}"]
    return "\n".join(lines) + "\n\n"
