"""A folder as a DVC project: its remotes, in the committed config, and their secrets, in the local one."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptoml.errors import ConfigError

LOCAL_REMOTE, LOCAL_STORE = "local", Path(".cryptoml/dvc")
_STREAMS = threading.RLock()
SETUP_MEND = "cryptoml setup-remotes --local (no account), or cryptoml setup-remotes"


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
    """Whether `folder` is the root of a DVC project."""
    return (folder / ".dvc" / "config").is_file()


def need_project(folder: Path) -> None:
    """Raise ConfigError where `folder` is no DVC project."""
    if not is_project(folder):
        raise ConfigError(f"{folder}: is not a DVC project.", mend=SETUP_MEND)


def init_project(folder: Path) -> bool:
    """Make `folder` a DVC project; whether that was needed."""
    if is_project(folder):
        return False
    from dvc.repo import Repo

    with in_dvc_words(folder):
        # In a folder below a git root, DVC wants to be told that this is meant.
        in_git_root = (folder / ".git").exists()
        Repo.init(str(folder), no_scm=not _inside_git(folder), subdir=_inside_git(folder) and not in_git_root).close()
    return True


def remotes(folder: Path) -> tuple[DvcRemote, ...]:
    """The project's remotes with their secrets, the default one first; raises ConfigError for a broken config."""
    need_project(folder)
    config = _config(folder)
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

    with in_dvc_words(folder):
        config = Config(dvc_dir=str(folder / ".dvc"))
        levels = {level: (config.read(level).get("remote") or {}).get(name) or {} for level in Config.LEVELS}
    committed = levels.pop("repo", {})
    return {key: text for options in levels.values() for key, text in options.items()}, committed


def default_remote(folder: Path) -> DvcRemote:
    """The remote in use; raises ConfigError when there is none."""
    found = remotes(folder)
    if not found or not found[0].is_default:
        raise ConfigError(f"{folder / '.dvc' / 'config'}: names no default remote.", mend=SETUP_MEND)
    return found[0]


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
    path = folder / ".dvc" / "config.local"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    path.chmod(0o600)
    with _edit(folder, "local") as config:
        options = config.setdefault("remote", {}).setdefault(name, {})
        options.update(auth="basic", user=user, password=password)


@contextmanager
def in_dvc_words(folder: Path) -> Iterator[None]:
    """Call DVC in silence; its errors become ConfigError with what it said."""
    from dvc.config import ConfigError as DvcConfigError
    from dvc.exceptions import DvcException

    try:
        with quiet():
            yield
    except DvcConfigError as error:
        _refuse_conflict(folder)
        raise ConfigError(f"{folder / '.dvc'}: {_first_line(error)}.", mend="correct .dvc/config") from error
    except DvcException as error:
        if "git-ignored" in str(error):
            raise ConfigError(
                f"{folder}: git ignores the .dvc files, which must be committed.",
                mend="in .gitignore, replace /data/ by /data/**, !/data/**/, !/data/**/*.dvc, !/data/**/.gitignore",
            ) from error
        raise ConfigError(f"{folder}: DVC: {_first_line(error)}.", mend="dvc status tells more") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep DVC's advice out of standard output and its complaints out of the log; errors come as exceptions."""
    import logging

    logger = logging.getLogger("dvc")
    # Standard output and the logger belong to the whole process: one thread at a time.
    with _STREAMS:
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            with redirect_stdout(io.StringIO()):
                yield
        finally:
            logger.setLevel(level)


def _config(folder: Path) -> Mapping[str, Any]:
    from dvc.config import Config

    with in_dvc_words(folder):
        loaded: Mapping[str, Any] = Config(dvc_dir=str(folder / ".dvc"))
    return loaded


@contextmanager
def _edit(folder: Path, level: str) -> Iterator[dict[str, Any]]:
    from dvc.config import Config

    with in_dvc_words(folder), Config(dvc_dir=str(folder / ".dvc")).edit(level) as config:
        yield config


def _refuse_conflict(folder: Path) -> None:
    for name in ("config", "config.local"):
        path = folder / ".dvc" / name
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
        marks = [number for number, line in enumerate(lines, 1) if line.startswith(("<<<<<<<", "=======", ">>>>>>>"))]
        if marks:
            raise ConfigError(
                f"{path}, line {marks[0]}: holds a merge conflict.",
                mend="choose one side, remove the marks, git add it",
            )


def _inside_git(folder: Path) -> bool:
    return any((place / ".git").exists() for place in (folder, *folder.parents))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
