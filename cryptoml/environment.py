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


def prepare() -> None:
    """Give this process and its children a user name, a home and a temporary folder where these are missing.

    A home that exists and cannot be written stays HOME, as credentials may be read from it; only the folders that
    libraries write to move. Raises AccessError where no temporary folder can be written.
    """
    _use_temporary_folder()
    if not _user_is_known():
        os.environ["USER"] = f"uid{os.getuid()}"
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
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def can_create(path: Path) -> bool:
    """Whether `path` is a writable folder, or could be made as one."""
    for folder in (path, *path.parents):
        if folder.exists():
            return folder.is_dir() and is_writable(folder)
    return False


def _home() -> Path | None:
    """The home folder, or None where there is none."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home if home.is_dir() else None


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
    if chosen is None or (chosen == here and (named is None or Path(named) != here)):
        tempfile.tempdir = None
        raise AccessError(
            f"no temporary folder can be written: {', '.join(filter(None, (named, '/tmp', '/var/tmp')))}.",
            mend="name a writable folder: TMPDIR=/some/folder cryptoml ...",
        )
    if named is not None:
        # Children that do not look as Python does get the same folder.
        os.environ["TMPDIR"] = str(chosen)


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError("the current folder no longer exists.", mend="change to another folder: cd ~") from None


def _user_id() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _is_ours(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.stat().st_uid in (os.getuid(), os.geteuid())
