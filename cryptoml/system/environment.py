"""Provides a user name, a home folder and a temporary folder for the process if they are missing.

Containers and schedulers may run commands under a user id without a name, without HOME, or with read-only folders;
MLflow, DVC, matplotlib and git need all of these. `prepare` runs once, before heavy imports.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cryptoml.errors import AccessError, ConfigError

# Variables that relocate the folders in the home folder that libraries write to.
HOME_FOLDERS = {
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_STATE_HOME": ".local/state",
    "XDG_DATA_HOME": ".local/share",
    "MPLCONFIGDIR": ".config/matplotlib",
}
# Where Python looks for a temporary folder, after those named in the environment.
USUAL_FOLDERS = ("/tmp", "/var/tmp", "/usr/tmp")


def prepare() -> None:
    """Set a user name, a home folder and a temporary folder for this process and its children if they are missing.

    A read-only home folder stays HOME, because credentials may be read from it; only the folders that libraries write
    to are relocated. Raises AccessError if no temporary folder is writable.
    """
    _use_temporary_folder()
    if not _user_is_known():
        os.environ["USER"] = f"uid{_user_id()}"
    home = _home()
    if home is None:
        os.environ["HOME"] = str(private_folder("home"))
    else:
        for variable, folder in HOME_FOLDERS.items():
            if variable not in os.environ and not can_create(home / folder):
                os.environ[variable] = str(private_folder("home") / folder)


def private_folder(name: str) -> Path:
    """Return a private folder of this user in the temporary folder; creates it if it is missing.

    If another user owns the usual path, a new folder is created for this process.
    """
    root = Path(tempfile.gettempdir()) / f"cryptoml-{_user_id()}"
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        if not root.is_symlink() and _is_ours(root):
            (root / name).mkdir(mode=0o700, exist_ok=True)
            return root / name
    except OSError:
        pass
    folder = Path(tempfile.mkdtemp(prefix=f"cryptoml-{_user_id()}-")) / name
    folder.mkdir(mode=0o700)
    return folder


def is_writable(path: Path) -> bool:
    """Return whether this process may write to `path`, by its effective user id."""
    right = os.W_OK | os.X_OK if path.is_dir() else os.W_OK
    return os.access(path, right, effective_ids=os.access in os.supports_effective_ids)


def can_create(path: Path) -> bool:
    """Return whether `path` is a writable folder, or could be created as one."""
    try:
        nearest = next(folder for folder in (path, *path.parents) if folder.exists())
        return nearest.is_dir() and is_writable(nearest)
    except (OSError, StopIteration):
        # Permission to look into a parent folder is missing.
        return False


def _home() -> Path | None:
    """Return the home folder; None if it does not exist or this user has no access to it."""
    try:
        home = Path.home()
        return home if home.is_dir() else None
    except (OSError, RuntimeError):
        return None


def _user_is_known() -> bool:
    import getpass

    try:
        return bool(getpass.getuser())
    except (KeyError, OSError, ImportError):
        return False


def _use_temporary_folder() -> None:
    """Use the temporary folder that Python chooses, but not its last resort, the current folder."""
    try:
        chosen = Path(tempfile.gettempdir())
    except FileNotFoundError:
        chosen = None
    tmpdir = os.environ.get("TMPDIR")
    cwd = _current_folder()
    # The current folder may be a temporary folder itself.
    candidates = {Path(os.path.realpath(folder)) for folder in (*_named_folders(), *USUAL_FOLDERS)}
    if chosen is None or (chosen == cwd and cwd not in candidates):
        tempfile.tempdir = None
        raise AccessError(
            f"no temporary folder is writable: {', '.join((*_named_folders(), *USUAL_FOLDERS))}.",
            hint="set a writable folder: TMPDIR=/some/folder cryptoml ...",
        )
    if tmpdir is not None:
        # So that children that use TMPDIR without checking it get the same folder.
        os.environ["TMPDIR"] = str(chosen)


def _named_folders() -> tuple[str, ...]:
    return tuple(folder for name in ("TMPDIR", "TEMP", "TMP") if (folder := os.environ.get(name)))


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError("the current folder no longer exists.", hint="change to another folder: cd ~") from None


def _user_id() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _is_ours(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.stat().st_uid in (os.getuid(), os.geteuid())
