"""A DVC project: its remotes, in the committed config, and their secrets, in the local config."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptoml.errors import ConfigError
from cryptoml.remotes import git_remote
from cryptoml.remotes.dvc.session import NO_ROOT_HINT, find_root, load_dvc, require_root, translate_dvc_errors

LOCAL_REMOTE, LOCAL_STORE = "local", Path(".cryptoml/dvc")


@dataclass(frozen=True)
class DvcRemote:
    """A remote of the project. url: as in the config; for a folder, its absolute path. repr() masks the password."""

    name: str
    url: str
    is_default: bool
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"DvcRemote({self.name!r}, {self.url!r}, password={'***' if self.password else None})"

    @property
    def address(self) -> str:
        """The url without user and password, for messages and results."""
        return git_remote.without_secrets(self.url)

    @property
    def is_http(self) -> bool:
        """Whether it is an http or https remote."""
        return self.url.startswith(("http://", "https://"))

    @property
    def is_folder(self) -> bool:
        """Whether it is a local folder."""
        return "://" not in self.url

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password, if both are set."""
        return (self.user, self.password) if self.user and self.password else None


def is_project(folder: Path) -> bool:
    """Return whether `folder` is in a DVC project."""
    return find_root(folder) is not None


def init_project(folder: Path) -> bool:
    """Initialize a DVC project in `folder`; return False if it already is in one."""
    if is_project(folder):
        return False
    load_dvc()
    from dvc.repo import Repo

    with translate_dvc_errors(folder):
        # Below a git root, DVC requires the option `subdir`.
        in_git_root = (folder / ".git").exists()
        Repo.init(str(folder), no_scm=not _inside_git(folder), subdir=_inside_git(folder) and not in_git_root).close()
    return True


def remotes(folder: Path) -> tuple[DvcRemote, ...]:
    """Return the project's remotes with their secrets, the default first; raise ConfigError for an invalid config."""
    config = _config(require_root(folder))
    default = (config.get("core") or {}).get("remote")
    result = [
        DvcRemote(
            name=name,
            url=str(options.get("url") or "").rstrip("/"),
            is_default=name == default,
            user=options.get("user"),
            password=options.get("password"),
        )
        for name, options in (config.get("remote") or {}).items()
    ]
    return tuple(sorted(result, key=lambda remote: (not remote.is_default, remote.name)))


def own_options(folder: Path, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the remote's options in the local, global and system configs, and those in the committed config."""
    from dvc.config import Config

    root = require_root(folder)
    with translate_dvc_errors(root):
        config = Config(dvc_dir=str(root / ".dvc"))
        levels = {level: (config.read(level).get("remote") or {}).get(name) or {} for level in Config.LEVELS}
    committed = levels.pop("repo", {})
    return {key: value for options in levels.values() for key, value in options.items()}, committed


def default_remote(folder: Path) -> DvcRemote:
    """Return the default remote; raise ConfigError if there is none."""
    available = remotes(folder)
    if not available or not available[0].is_default:
        config = require_root(folder) / ".dvc" / "config"
        default = (_config(require_root(folder)).get("core") or {}).get("remote")
        fact = f"the default remote {default!r} is not defined" if default else "has no default remote"
        fact += f" (remotes: {', '.join(remote.name for remote in available)})" if available else ""
        hint = f"dvc remote default {available[0].name}" if available else NO_ROOT_HINT
        raise ConfigError(f"{config}: {fact}.", hint=hint)
    return available[0]


def named_remote(folder: Path, name: str, *, needed_by: str) -> DvcRemote:
    """Return the remote of that name; raise ConfigError if it does not exist. needed_by: its user, for the message."""
    available = remotes(folder)
    for remote in available:
        if remote.name == name:
            return remote
    names = ", ".join(remote.name for remote in available) or "none"
    raise ConfigError(
        f"{needed_by}: uses DVC remote {name!r}, which is not configured (remotes: {names}).",
        hint=f"dvc remote add {name} ADDRESS",
    )


def set_remote(folder: Path, name: str, url: str) -> None:
    """Write the remote to the committed config and make it the default.

    url: an address or a folder; a folder is written relative to the config, so that the project can be moved.
    """
    if "://" not in url:
        url = os.path.relpath(url)
    with _edit(folder, "repo") as config:
        config.setdefault("remote", {}).setdefault(name, {})["url"] = url
        config.setdefault("core", {})["remote"] = name


def set_secret(folder: Path, name: str, *, user: str, password: str) -> None:
    """Write user and password of an http remote to `.dvc/config.local`, mode 0600."""
    path = require_root(folder) / ".dvc" / "config.local"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    path.chmod(0o600)
    with _edit(folder, "local") as config:
        options = config.setdefault("remote", {}).setdefault(name, {})
        options.update(auth="basic", user=user, password=password)


def _config(folder: Path) -> Mapping[str, Any]:
    load_dvc()
    from dvc.config import Config

    with translate_dvc_errors(folder):
        loaded: Mapping[str, Any] = Config(dvc_dir=str(folder / ".dvc"))
    return loaded


@contextmanager
def _edit(folder: Path, level: str) -> Iterator[dict[str, Any]]:
    load_dvc()
    from dvc.config import Config

    root = require_root(folder)
    with translate_dvc_errors(root), Config(dvc_dir=str(root / ".dvc")).edit(level) as config:
        yield config


def _inside_git(folder: Path) -> bool:
    return any((parent / ".git").exists() for parent in (folder, *folder.parents))
