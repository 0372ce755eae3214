"""Git and DVC remotes of a project, parsed from the config files without a subprocess or a heavy import."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cryptoml.system.hosts import DEFAULT_HOST


def dagshub_remote(folder: Path, host: str) -> str | None:
    """Return the first git or DVC remote at `host` or dagshub.com, such as "git remote origin"; None without one."""
    hostnames = {_hostname(host), _hostname(DEFAULT_HOST)}
    for kind, name, url in (*_git_remotes(folder), *_dvc_remotes(folder)):
        if _hostname(url) in hostnames:
            return f"{kind} remote {name}"
    return None


def _git_remotes(folder: Path) -> Iterator[tuple[str, str, str]]:
    config = _git_config(folder)
    if config is not None:
        yield from _remotes(config, "git", ("url",))


def _dvc_remotes(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the remotes of the DVC project that contains `folder`, within the same git repository."""
    for parent in (folder, *folder.parents):
        if (parent / ".dvc").is_dir():
            for name in ("config", "config.local"):
                yield from _remotes(parent / ".dvc" / name, "DVC", ("endpointurl", "url"))
            return
        if (parent / ".git").exists():
            return


def _remotes(path: Path, kind: str, options: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    try:
        parser.read_string(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, configparser.Error):
        # git and DVC report a damaged config themselves.
        return
    for section in parser.sections():
        match = re.fullmatch(r"""'?remote "(.+)"'?""", section)
        for option in options if match else ():
            if url := parser.get(section, option, fallback=None):
                yield kind, match[1] if match else "", url


def _git_config(folder: Path) -> Path | None:
    """Return the config of the repository that contains `folder`; for a linked worktree, of its main repository."""
    for parent in (folder, *folder.parents):
        entry = parent / ".git"
        if entry.is_dir():
            return entry / "config"
        if entry.is_file():
            return _linked_config(parent, entry)
    return None


def _linked_config(worktree: Path, entry: Path) -> Path | None:
    try:
        target = entry.read_text(encoding="utf-8").strip().removeprefix("gitdir:").strip()
        folder = worktree / target
        common = folder / "commondir"
        return (folder / common.read_text(encoding="utf-8").strip() if common.is_file() else folder) / "config"
    except (OSError, UnicodeDecodeError):
        return None


def _hostname(url: str) -> str:
    """Return the host and an explicit, non-default port; git also accepts user@host:path."""
    if "://" not in url:
        match = re.match(r"(?:[^/@]+@)?([\w.-]+):", url)
        return match[1].lower() if match else ""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port not in (None, 443, 22) else ""
        return f"{(parts.hostname or '').lower()}{port}"
    except ValueError:
        return ""
