"""Open DVC without its output, in an environment that it needs, and translate its errors."""

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
# Loggers of DVC and its drivers, which print tracebacks of errors that they also raise.
LOGGERS = ("dvc", "dvc_data", "dvc_objects", "gcsfs", "adlfs", "azure", "google")
SITE_CACHE = Path(".dvc/tmp/site-cache")


def find_root(folder: Path) -> Path | None:
    """Return the root of the DVC project that contains `folder`, within the same git repository; None if none does."""
    start = folder.resolve()
    for candidate in (start, *start.parents):
        if (candidate / ".dvc" / "config").is_file():
            return candidate
        if (candidate / ".git").exists():
            return None
    return None


def require_root(folder: Path) -> Path:
    """Return `find_root(folder)`; raise ConfigError if there is none."""
    root = find_root(folder)
    if root is None:
        raise ConfigError(f"{folder}: is not a DVC project.", hint=NO_ROOT_HINT)
    return root


@contextmanager
def open_repo(folder: Path, config: Mapping[str, Any] | None = None) -> Iterator[Repo]:
    """Open the DVC project of `folder`; `config` overrides its configuration for this session."""
    root = require_root(folder)
    load_dvc()
    from dvc.repo import Repo

    with translate_dvc_errors(root), Repo(str(root), config=dict(config or {})) as repo:
        yield repo


def load_dvc() -> None:
    """Import DVC in one thread at a time, because concurrent imports can see partially initialized modules."""
    with _STREAMS:
        import_module("dvc.repo")
        import_module("dvc.utils.strictyaml")


@contextmanager
def translate_dvc_errors(folder: Path) -> Iterator[None]:
    """Suppress DVC's output and translate its errors within the block."""
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
            or _untrusted(str(error))
            or ConfigError(f"{folder}: git: {first_line(error)}.", hint="git status")
        ) from error
    except DvcException as error:
        raise _dvc_error(folder, error) from error
    except (OSError, sqlite3.Error) as error:
        raise dvc_os_error(error, folder) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress DVC's output and log messages within the block; errors are raised as exceptions."""
    import logging

    loggers = [logging.getLogger(name) for name in LOGGERS]
    # Standard output and loggers are shared by the process: one thread at a time.
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
    """Set variables that DVC needs and unset those that mislead it. The caller must hold `_STREAMS`."""
    saved = {name: os.environ.get(name) for name in (*git.REPOSITORY_VARIABLES, "DVC_SITE_CACHE_DIR", "LOGNAME")}
    for name in git.REPOSITORY_VARIABLES:
        os.environ.pop(name, None)
    if not saved["DVC_SITE_CACHE_DIR"] and not _has_site_cache(folder):
        # DVC's default, /var/tmp/dvc, is shared by all users and owned by the first one.
        os.environ["DVC_SITE_CACHE_DIR"] = str(folder / SITE_CACHE)
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid-{os.getuid()}"
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _has_site_cache(folder: Path) -> bool:
    from dvc.config import Config
    from dvc.exceptions import DvcException

    with suppress(DvcException, OSError):
        dvc_dir = folder / ".dvc"
        loaded = Config(dvc_dir=str(dvc_dir) if dvc_dir.is_dir() else None, validate=False)
        return bool(loaded.get("core", {}).get("site_cache_dir"))
    return False


def _untrusted(text: str) -> ConfigError | None:
    """Return the error for a repository that git trusts but DVC does not: it reads only ~/.gitconfig."""
    match = re.search(r"repository path '(.+?)/?' is not owned by current user", text)
    if match is None:
        return None
    return ConfigError(
        f"{match[1]}: DVC does not read this repository: another user owns it, and ~/.gitconfig does not list it.",
        hint=f"git config --file ~/.gitconfig --add safe.directory '{match[1]}'",
    )


def _dvc_error(folder: Path, error: Exception) -> Exception:
    text, reason = str(error), first_line(error)
    untrusted = git.ownership_error(folder) if "not owned by" in text or "dubious" in text else None
    untrusted = untrusted or _untrusted(text)
    if untrusted is not None:
        return untrusted
    if "git-ignored" in text:
        return ConfigError(
            f"{folder}: git ignores the .dvc files, which must be committed.",
            hint="in .gitignore, replace /data/ by /data/**, !/data/**/, !/data/**/*.dvc, !/data/**/.gitignore",
        )
    tracked = re.search(r"output '(.+)' is already tracked by SCM", text)
    if tracked:
        return ConfigError(
            f"{tracked[1]}: git tracks this file, so DVC cannot version it.",
            hint=f"git rm -r --cached '{tracked[1]}', commit, then try again",
        )
    if "No space left" in text:
        return UnavailableError(f"{folder}: the disk is full.", hint="free some space, then try again")
    cause = error.__cause__
    if isinstance(cause, OSError):
        return dvc_os_error(cause, folder)
    return ConfigError(f"{folder}: DVC: {reason}.", hint="run dvc status for details")


def _damaged_pin(folder: Path, error: Exception) -> DataError:
    quoted = re.search(r"'([^']+)'", str(error))
    name = str(getattr(error, "relpath", "") or getattr(error, "path", "") or (quoted[1] if quoted else ".dvc file"))
    path = Path(name).resolve()
    shown = os.path.relpath(path, folder) if path.is_relative_to(folder) else name
    conflict = path.is_file() and "<<<<<<<" in path.read_text(encoding="utf-8", errors="replace")
    return DataError(
        f"{shown}: is damaged and not readable for DVC.",
        hint="resolve the merge conflict in it" if conflict else f"git checkout -- '{shown}'",
    )
