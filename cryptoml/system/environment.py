"""What a process needs from its surroundings: a user name, a home, a temporary folder. Missing ones are replaced.

Containers and schedulers start commands under user ids without a name, without HOME, or with folders that cannot be
written. MLflow, DVC, matplotlib and git expect all of these. `prepare` runs once, before anything heavy is imported.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cryptoml.errors import AccessError, ConfigError

# Folders below the home that libraries write to, and the variables that move them elsewhere.
HOME_FOLDERS = {
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_STATE_HOME": ".local/state",
    "XDG_DATA_HOME": ".local/share",
    "MPLCONFIGDIR": ".config/matplotlib",
}
# Where Python looks for a temporary folder, after those that the environment names.
USUAL_FOLDERS = ("/tmp", "/var/tmp", "/usr/tmp")


def prepare() -> None:
    """Give this process and its children a user name, a home and a temporary folder where these are missing.

    A home that exists and cannot be written stays HOME, as credentials may be read from it; only the folders that
    libraries write to move. Raises AccessError where no temporary folder can be written.
    """
    _use_temporary_folder()
    if not _user_is_known():
        os.environ["USER"] = f"uid{_user_id()}"
    home = _home()
    if home is None:
        os.environ["HOME"] = str(private_folder("home"))
    else:
        for variable, place in HOME_FOLDERS.items():
            if variable not in os.environ and not can_create(home / place):
                os.environ[variable] = str(private_folder("home") / place)


def private_folder(name: str) -> Path:
    """A folder of this user alone below the temporary folder; made when it is missing.

    Where another user owns the usual place, a new folder is made for this process.
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
    """Whether this process may write to `path`, by its effective rights, which a container may have raised."""
    right = os.W_OK | os.X_OK if path.is_dir() else os.W_OK
    return os.access(path, right, effective_ids=os.access in os.supports_effective_ids)


def can_create(path: Path) -> bool:
    """Whether `path` is a writable folder, or could be made as one."""
    try:
        nearest = next(folder for folder in (path, *path.parents) if folder.exists())
        return nearest.is_dir() and is_writable(nearest)
    except (OSError, StopIteration):
        # A folder above it must not even be searched.
        return False


def _home() -> Path | None:
    """The home folder, or None where there is none that this user may enter, such as root's for another user."""
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
    """Leave the choice to Python, which skips folders it cannot write, but refuse its last resort, the current one."""
    try:
        chosen = Path(tempfile.gettempdir())
    except FileNotFoundError:
        chosen = None
    named = os.environ.get("TMPDIR")
    here = _current_folder()
    # The current folder may be a temporary folder itself.
    usual = {Path(os.path.realpath(place)) for place in (*_named_folders(), *USUAL_FOLDERS)}
    if chosen is None or (chosen == here and here not in usual):
        tempfile.tempdir = None
        raise AccessError(
            f"no temporary folder can be written: {', '.join((*_named_folders(), *USUAL_FOLDERS))}.",
            hint="name a writable folder: TMPDIR=/some/folder cryptoml ...",
        )
    if named is not None:
        # Children that do not look as Python does get the same folder.
        os.environ["TMPDIR"] = str(chosen)


def _named_folders() -> tuple[str, ...]:
    return tuple(place for name in ("TMPDIR", "TEMP", "TMP") if (place := os.environ.get(name)))


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError("the current folder no longer exists.", hint="change to another folder: cd ~") from None


def _user_id() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _is_ours(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.stat().st_uid in (os.getuid(), os.geteuid())
