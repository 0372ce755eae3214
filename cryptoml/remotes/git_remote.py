"""git's remotes and its credential helper. A token goes to git over standard input only."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.remotes import git

TIMEOUT_S = 60
# git follows the redirect of a first request by default, and then sends pushes to the other host.
NO_REDIRECTS = ("-c", "http.followRedirects=false")
# Never ask: there may be nobody at the terminal, and a question would look like a hang.
NO_PROMPT = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}


def run(folder: Path, *arguments: str, stdin: str = "", timeout_s: float = TIMEOUT_S) -> str:
    """Run git in `folder`; its output. Raises ConfigError without git, and what git complains about, in words."""
    try:
        done = subprocess.run(
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
        raise ConfigError("git is not installed.", hint="install git, such as: apt-get install git") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(
            f"git {arguments[0]} took longer than {timeout_s:g} s.", hint="try again later"
        ) from None
    if done.returncode:
        raise git_error(done.stderr, arguments[0])
    return done.stdout


def is_repository(folder: Path) -> bool:
    """Whether `folder` is inside a git work tree; raises ConfigError without git, or where git does not trust it."""
    try:
        return run(folder, "rev-parse", "--is-inside-work-tree").strip() == "true"
    except ConfigError as error:
        if "not installed" in error.fact or "dubious ownership" in error.fact:
            raise
        return False


def remote_urls(folder: Path) -> Mapping[str, str]:
    """The git remotes of the project: name -> address as written in the config."""
    try:
        text = run(folder, "config", "--get-regexp", r"^remote\..*\.url$")
    except CryptomlError:
        return {}
    pairs = (line.split(" ", 1) for line in text.splitlines() if " " in line)
    return {name.removeprefix("remote.").removesuffix(".url"): url for name, url in pairs}


def slug_at(url: str, host: str) -> str | None:
    """owner/name where `url` is a repository at `host`, whatever user it holds; else None."""
    parts, wanted = urlsplit(url), urlsplit(host)
    where = f"{parts.hostname or ''}:{parts.port or ''}"
    if where != f"{wanted.hostname or ''}:{wanted.port or ''}":
        return None
    found = re.fullmatch(r"/([\w.-]+/[\w.-]+?)(\.git)?/?", parts.path)
    return found[1] if found else None


def without_credentials(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


def set_remote(folder: Path, name: str, url: str) -> None:
    """Add the remote, or give it another address."""
    if name in remote_urls(folder):
        run(folder, "remote", "set-url", name, url)
    else:
        run(folder, "remote", "add", name, url)


def has_credential_helper(folder: Path, url: str) -> bool:
    """Whether git has a credential helper for that address."""
    try:
        return bool(run(folder, "config", "--get-urlmatch", "credential.helper", url).strip())
    except CryptomlError:
        return False


def use_credential_store(folder: Path, url: str) -> None:
    """Let git keep this host's credentials in its own file (~/.git-credentials, mode 0600), for this project only."""
    parts = urlsplit(url)
    run(folder, "config", f"credential.{parts.scheme}://{parts.netloc}.helper", "store")


def stored_password(folder: Path, url: str) -> str | None:
    """The password that git's helper gives for the address, or None."""
    try:
        answer = run(folder, "credential", "fill", stdin=_description(url))
    except CryptomlError:
        return None
    found = re.search(r"^password=(.+)$", answer, re.MULTILINE)
    return found[1] if found else None


def store_credentials(folder: Path, url: str, token: str) -> None:
    """Hand the token to git's credential helper: DagsHub takes it as user and as password."""
    run(folder, "credential", "approve", stdin=_description(url, token))


def forget_credentials(folder: Path, url: str, token: str) -> None:
    """Let the helper forget what `store_credentials` told it."""
    run(folder, "credential", "reject", stdin=_description(url, token))


def count_branches(folder: Path, remote: str, *, timeout_s: float = TIMEOUT_S) -> int:
    """Ask the remote for its branches, as `git ls-remote` does; how many there are."""
    return len(run(folder, "ls-remote", "--heads", remote, timeout_s=timeout_s).splitlines())


def tracked_files_with(folder: Path, secrets: Iterable[str]) -> list[str]:
    """Tracked files that hold one of the secrets, which go to git over standard input."""
    try:
        text = run(folder, "grep", "-z", "--name-only", "--fixed-strings", "-f", "-", stdin="\n".join(secrets) + "\n")
    except CryptomlError:
        # git grep ends with 1 when it finds nothing.
        return []
    return [name for name in text.split("\0") if name]


def history_holds(folder: Path, secrets: Iterable[str], paths: Sequence[str]) -> bool:
    """Whether a commit on any branch holds one of the secrets in one of these files."""
    try:
        text = run(folder, "log", "--all", "--patch", "--format=", "--", *paths)
    except CryptomlError:
        return False
    return any(secret in text for secret in secrets)


def push(folder: Path, remote: str, source: str, branch: str, *, track: bool = False) -> None:
    """Push a commit or a branch to a branch of the remote; never by force."""
    options = ["--set-upstream"] if track else []
    run(folder, "push", *options, remote, f"{source}:refs/heads/{branch}", timeout_s=600)


def git_error(text: str, doing: str) -> CryptomlError:
    """What git wrote to standard error, as an error with its hint."""
    lines = [line.partition(": ")[2] or line for line in text.splitlines() if line.startswith(("fatal:", "error:"))]
    said = without_secrets(lines[0] if lines else text.strip().splitlines()[-1] if text.strip() else "no reason given")
    low = text.lower()
    if "could not read username" in low or "could not read password" in low or "authentication failed" in low:
        return AccessError(f"git {doing}: no credentials, or wrong ones: {said}.", hint="cryptoml setup-remotes")
    if "redirect" in low or re.search(r"error: 30[12378]\b", low):
        return AccessError(
            f"git {doing}: the server redirects to another address. Nothing was sent there.",
            hint="check the address: git remote -v",
        )
    if "dubious ownership" in low:
        place = re.search(r"dubious ownership in repository at '([^']+)'", text)
        name = place[1] if place else "FOLDER"
        return ConfigError(
            f"{name}: git does not read this repository: it belongs to another user (dubious ownership).",
            hint=f"git config --global --add safe.directory '{name}'",
        )
    if "index.lock" in low:
        return UnavailableError(
            f"git {doing}: another git process holds the index: {said}.",
            hint="wait until it has ended; if none is running, remove that index.lock",
        )
    if "403" in low:
        return AccessError(f"git {doing}: the token may not do that (403).", hint="ask the owner for write permission")
    if "not found" in low and "repository" in low:
        return AccessError(f"git {doing}: {said}.", hint="check owner and name, or make it: --create")
    if any(
        sign in low for sign in ("resolve host", "connection refused", "failed to connect", "timed out", "error: 5")
    ):
        return UnavailableError(f"git {doing}: {said}.", hint="check the network, or try again later")
    return ConfigError(f"git {doing}: {said}.")


def without_secrets(text: str) -> str:
    """`text` with user and password taken out of its addresses."""
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1***@", text)


def _description(url: str, token: str | None = None) -> str:
    parts = urlsplit(url)
    lines = [f"protocol={parts.scheme}", f"host={parts.netloc}"]
    if token:
        lines += [f"username={token}", f"password={token}"]
    return "\n".join(lines) + "\n\n"
