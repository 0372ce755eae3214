"""What the git and DVC config of a project name, read as text: no subprocess, no heavy import."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cryptoml.system.hosts import DEFAULT_HOST


def dagshub_remote(folder: Path, host: str) -> str | None:
    """The first git or DVC remote at `host` or at dagshub.com, such as "git remote origin"; None if there is none."""
    wanted = {_hostname(host), _hostname(DEFAULT_HOST)}
    for kind, name, url in (*_git_remotes(folder), *_dvc_remotes(folder)):
        if _hostname(url) in wanted:
            return f"{kind} remote {name}"
    return None


def _git_remotes(folder: Path) -> Iterator[tuple[str, str, str]]:
    config = _git_config(folder)
    if config is not None:
        yield from _remotes(config, "git", ("url",))


def _dvc_remotes(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Those of the DVC project around `folder`, in the same git repository."""
    for place in (folder, *folder.parents):
        if (place / ".dvc").is_dir():
            for name in ("config", "config.local"):
                yield from _remotes(place / ".dvc" / name, "DVC", ("endpointurl", "url"))
            return
        if (place / ".git").exists():
            return


def _remotes(path: Path, kind: str, options: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    try:
        parser.read_string(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, configparser.Error):
        # git and DVC report a damaged config themselves.
        return
    for section in parser.sections():
        found = re.fullmatch(r"""'?remote "(.+)"'?""", section)
        for option in options if found else ():
            if url := parser.get(section, option, fallback=None):
                yield kind, found[1] if found else "", url


def _git_config(folder: Path) -> Path | None:
    """The config of the repository around `folder`; that of a linked worktree is the main repository's."""
    for place in (folder, *folder.parents):
        entry = place / ".git"
        if entry.is_dir():
            return entry / "config"
        if entry.is_file():
            return _linked_config(place, entry)
    return None


def _linked_config(place: Path, entry: Path) -> Path | None:
    try:
        target = entry.read_text(encoding="utf-8").strip().removeprefix("gitdir:").strip()
        folder = place / target
        common = folder / "commondir"
        return (folder / common.read_text(encoding="utf-8").strip() if common.is_file() else folder) / "config"
    except (OSError, UnicodeDecodeError):
        return None


def _hostname(url: str) -> str:
    """Host and explicit port; git also takes user@host:path."""
    if "://" not in url:
        found = re.match(r"(?:[^/@]+@)?([\w.-]+):", url)
        return found[1].lower() if found else ""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port not in (None, 443, 22) else ""
        return f"{(parts.hostname or '').lower()}{port}"
    except ValueError:
        return ""
