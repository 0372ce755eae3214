"""A folder as a DVC project: its remotes, in the committed config, and their secrets, in the local one."""

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
    """A remote of the project. url: as in the config, a folder as its absolute path. password is never shown."""

    name: str
    url: str
    is_default: bool
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"DvcRemote({self.name!r}, {self.url!r}, password={'***' if self.password else None})"

    @property
    def address(self) -> str:
        """The url for messages and results: without a user and password that stand in it."""
        return git_remote.without_secrets(self.url)

    @property
    def is_http(self) -> bool:
        """Whether it is reached over http or https."""
        return self.url.startswith(("http://", "https://"))

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of this machine."""
        return "://" not in self.url

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password where both are known."""
        return (self.user, self.password) if self.user and self.password else None


def is_project(folder: Path) -> bool:
    """Whether `folder` is a DVC project or lies in one."""
    return find_root(folder) is not None


def init_project(folder: Path) -> bool:
    """Make `folder` a DVC project; whether that was needed."""
    if is_project(folder):
        return False
    load_dvc()
    from dvc.repo import Repo

    with translate_dvc_errors(folder):
        # In a folder below a git root, DVC wants to be told that this is meant.
        in_git_root = (folder / ".git").exists()
        Repo.init(str(folder), no_scm=not _inside_git(folder), subdir=_inside_git(folder) and not in_git_root).close()
    return True


def remotes(folder: Path) -> tuple[DvcRemote, ...]:
    """The project's remotes with their secrets, the default one first; raises ConfigError for a broken config."""
    config = _config(require_root(folder))
    default = (config.get("core") or {}).get("remote")
    found = [
        DvcRemote(
            name=name,
            url=str(options.get("url") or "").rstrip("/"),
            is_default=name == default,
            user=options.get("user"),
            password=options.get("password"),
        )
        for name, options in (config.get("remote") or {}).items()
    ]
    return tuple(sorted(found, key=lambda one: (not one.is_default, one.name)))


def own_options(folder: Path, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The remote's options in the configs of this machine and user, and those in the committed config."""
    from dvc.config import Config

    root = require_root(folder)
    with translate_dvc_errors(root):
        config = Config(dvc_dir=str(root / ".dvc"))
        levels = {level: (config.read(level).get("remote") or {}).get(name) or {} for level in Config.LEVELS}
    committed = levels.pop("repo", {})
    return {key: text for options in levels.values() for key, text in options.items()}, committed


def default_remote(folder: Path) -> DvcRemote:
    """The remote in use; raises ConfigError when there is none."""
    found = remotes(folder)
    if not found or not found[0].is_default:
        config = require_root(folder) / ".dvc" / "config"
        named = (_config(require_root(folder)).get("core") or {}).get("remote")
        missing = f"the default remote {named!r} is not defined" if named else "names no default remote"
        missing += f" (remotes: {', '.join(one.name for one in found)})" if found else ""
        hint = f"dvc remote default {found[0].name}" if found else NO_ROOT_HINT
        raise ConfigError(f"{config}: {missing}.", hint=hint)
    return found[0]


def named_remote(folder: Path, name: str, *, needed_by: str) -> DvcRemote:
    """The remote of that name; raises ConfigError, naming who needs it, where there is none."""
    found = remotes(folder)
    for one in found:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in found) or "none"
    raise ConfigError(
        f"{needed_by}: names DVC remote {name!r}, which the configuration does not have (it has {known}).",
        hint=f"dvc remote add {name} ADDRESS",
    )


def set_remote(folder: Path, name: str, url: str) -> None:
    """Write the remote into the committed config and make it the default. url: an address, or a folder.

    A folder is written relative to the config, so that the project can be moved.
    """
    if "://" not in url:
        url = os.path.relpath(url)
    with _edit(folder, "repo") as config:
        config.setdefault("remote", {}).setdefault(name, {})["url"] = url
        config.setdefault("core", {})["remote"] = name


def set_secret(folder: Path, name: str, *, user: str, password: str) -> None:
    """Write user and password of an http remote into `.dvc/config.local`, mode 0600."""
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
    return any((place / ".git").exists() for place in (folder, *folder.parents))
