"""Open DVC quietly, in an environment in which it works; its errors become errors of ours."""

from __future__ import annotations

import getpass
import io
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import ConfigError, DataError, UnavailableError
from cryptoml.remotes import git
from cryptoml.remotes.dvc.errors import damaged_config, dvc_os_error, first_line, lock_error, missing_driver

if TYPE_CHECKING:
    from dvc.repo import Repo

_STREAMS = threading.RLock()
NO_ROOT_HINT = "cryptoml setup-remotes --local (no account), or cryptoml setup-remotes"
# Loggers of DVC and of the drivers, which print whole tracebacks of errors that they raise as well.
LOGGERS = ("dvc", "dvc_data", "dvc_objects", "gcsfs", "adlfs", "azure", "google")
SITE_CACHE = Path(".dvc/tmp/site-cache")


def find_root(folder: Path) -> Path | None:
    """The DVC project that holds `folder`: it, or a folder above it in the same git repository."""
    place = folder.resolve()
    for candidate in (place, *place.parents):
        if (candidate / ".dvc" / "config").is_file():
            return candidate
        if (candidate / ".git").exists():
            return None
    return None


def require_root(folder: Path) -> Path:
    """`find_root(folder)`; raises ConfigError where there is none."""
    root = find_root(folder)
    if root is None:
        raise ConfigError(f"{folder}: is not a DVC project.", hint=NO_ROOT_HINT)
    return root


@contextmanager
def open_repo(folder: Path, config: Mapping[str, Any] | None = None) -> Iterator[Repo]:
    """The DVC project of `folder`; `config` is merged over its configuration for this session."""
    root = require_root(folder)
    load_dvc()
    from dvc.repo import Repo

    with translate_dvc_errors(root), Repo(str(root), config=dict(config or {})) as repo:
        yield repo


def load_dvc() -> None:
    """Import DVC in one thread at a time: two that import it at once get modules that are half initialized."""
    with _STREAMS:
        import_module("dvc.repo")
        import_module("dvc.utils.strictyaml")


@contextmanager
def translate_dvc_errors(folder: Path) -> Iterator[None]:
    """Call DVC without its output; raises CryptomlError where it fails."""
    import sqlite3

    load_dvc()
    from dvc.config import ConfigError as DvcConfigError
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.utils.serialize import ParseError
    from dvc.utils.strictyaml import YAMLValidationError
    from dvc_objects.fs.errors import AuthError, RemoteMissingDepsError
    from dvc_objects.fs.errors import ConfigError as RemoteOptionError
    from pygit2 import GitError
    from scmrepo.exceptions import SCMError

    try:
        with quiet(), _environment(folder):
            yield
    except LockError as error:
        raise lock_error(folder) from error
    except (ParseError, YAMLValidationError) as error:
        raise _damaged_pin(folder, error) from error
    except DvcConfigError as error:
        raise damaged_config(folder, error) from error
    except RemoteMissingDepsError as error:
        raise missing_driver(error.url, error.protocol) from error
    except (AuthError, RemoteOptionError) as error:
        raise ConfigError(f"{folder / '.dvc'}: {first_line(error)}.", hint="correct .dvc/config.local") from error
    except (SCMError, GitError) as error:
        raise (
            git.ownership_error(folder)
            or _unsafe(str(error))
            or ConfigError(f"{folder}: git: {first_line(error)}.", hint="git status")
        ) from error
    except DvcException as error:
        raise _dvc_error(folder, error) from error
    except (OSError, sqlite3.Error) as error:
        raise dvc_os_error(error, folder) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep DVC's advice out of standard output and its complaints out of the log; errors come as exceptions."""
    import logging

    loggers = [logging.getLogger(name) for name in LOGGERS]
    # Standard output and the loggers belong to the whole process: one thread at a time.
    with _STREAMS:
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            with redirect_stdout(io.StringIO()):
                yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """Variables that DVC needs or must not see. Call with `_STREAMS` held."""
    kept = {name: os.environ.get(name) for name in (*git.REPOSITORY_VARIABLES, "DVC_SITE_CACHE_DIR", "LOGNAME")}
    for name in git.REPOSITORY_VARIABLES:
        os.environ.pop(name, None)
    if not kept["DVC_SITE_CACHE_DIR"] and not _names_site_cache(folder):
        # DVC's default, /var/tmp/dvc, is shared by all users of the machine and belongs to the first of them.
        os.environ["DVC_SITE_CACHE_DIR"] = str(folder / SITE_CACHE)
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid-{os.getuid()}"
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _names_site_cache(folder: Path) -> bool:
    from dvc.config import Config
    from dvc.exceptions import DvcException

    with suppress(DvcException, OSError):
        dvc_dir = folder / ".dvc"
        loaded = Config(dvc_dir=str(dvc_dir) if dvc_dir.is_dir() else None, validate=False)
        return bool(loaded.get("core", {}).get("site_cache_dir"))
    return False


def _unsafe(text: str) -> ConfigError | None:
    """The error for a repository that git trusts and DVC does not: DVC's library reads only ~/.gitconfig."""
    found = re.search(r"repository path '(.+?)/?' is not owned by current user", text)
    if found is None:
        return None
    return ConfigError(
        f"{found[1]}: DVC does not read this repository: another user owns it, and ~/.gitconfig does not list it.",
        hint=f"git config --file ~/.gitconfig --add safe.directory '{found[1]}'",
    )


def _dvc_error(folder: Path, error: Exception) -> Exception:
    text, reason = str(error), first_line(error)
    unsafe = git.ownership_error(folder) if "not owned by" in text or "dubious" in text else None
    unsafe = unsafe or _unsafe(text)
    if unsafe is not None:
        return unsafe
    if "git-ignored" in text:
        return ConfigError(
            f"{folder}: git ignores the .dvc files, which must be committed.",
            hint="in .gitignore, replace /data/ by /data/**, !/data/**/, !/data/**/*.dvc, !/data/**/.gitignore",
        )
    tracked = re.search(r"output '(.+)' is already tracked by SCM", text)
    if tracked:
        return ConfigError(
            f"{tracked[1]}: git tracks this file, so DVC cannot version it.",
            hint=f"git rm -r --cached '{tracked[1]}', commit, then run it again",
        )
    if "No space left" in text:
        return UnavailableError(f"{folder}: the disk is full.", hint="free some space, then run it again")
    cause = error.__cause__
    if isinstance(cause, OSError):
        return dvc_os_error(cause, folder)
    return ConfigError(f"{folder}: DVC: {reason}.", hint="run dvc status for details")


def _damaged_pin(folder: Path, error: Exception) -> DataError:
    named = re.search(r"'([^']+)'", str(error))
    name = str(getattr(error, "relpath", "") or getattr(error, "path", "") or (named[1] if named else ".dvc file"))
    path = Path(name).resolve()
    shown = os.path.relpath(path, folder) if path.is_relative_to(folder) else name
    conflict = path.is_file() and "<<<<<<<" in path.read_text(encoding="utf-8", errors="replace")
    return DataError(
        f"{shown}: is damaged: DVC cannot read it.",
        hint="resolve the merge conflict in it" if conflict else f"git checkout -- '{shown}'",
    )
