"""Atomic file replacement, file locks, and operating system errors as errors of this package."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import AccessError, CryptomlError, UnavailableError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_TIMEOUT_S = 120.0


@contextmanager
def translate_os_errors(path: Path) -> Iterator[None]:
    """Raise an OSError about `path` as the error that `os_error` returns."""
    try:
        yield
    except OSError as error:
        raise os_error(error, path) from error


def os_error(error: OSError, path: Path) -> CryptomlError:
    """Translate `error`: AccessError when permission is missing, else UnavailableError."""
    where = error.filename or path
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AccessError(f"{where}: cannot be written: {reason}.", hint="make it writable for this user")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError(f"{where}: the disk is full.", hint="free some space, then cryptoml sync")
    return UnavailableError(f"{where}: cannot be used: {reason}.")


@contextmanager
def locked(
    path: Path,
    *,
    timeout_s: float = LOCK_TIMEOUT_S,
    on_wait: Callable[[], None] | None = None,
    busy: Callable[[], CryptomlError] | None = None,
) -> Iterator[None]:
    """Hold the file lock at `path`, which ends with its process; raises UnavailableError after `timeout_s` seconds.

    on_wait: called once when another process holds the lock and there is time to wait.
    busy: returns the error to raise in place of the UnavailableError.

    Raises what `os_error` returns for a lock file that cannot be opened.
    """
    from filelock import FileLock

    lock = FileLock(path)
    with translate_os_errors(path):
        acquired = _acquired(lock, timeout_s=0)
        if not acquired and timeout_s > 0:
            if on_wait is not None:
                on_wait()
            acquired = _acquired(lock, timeout_s=timeout_s)
    if not acquired:
        raise (
            busy()
            if busy is not None
            else UnavailableError(
                f"{path}: another process has held this lock for {timeout_s:.0f} s.", hint="try again later"
            )
        )
    try:
        yield
    finally:
        lock.release()


def write_atomically(path: Path, text: str, *, private: bool = False) -> None:
    """Replace `path` by a file with `text` in UTF-8; only its owner can read a `private` one (mode 0600)."""
    with replacing(path) as part:
        if private:
            part.touch(mode=0o600, exist_ok=False)
        part.write_text(text, encoding="utf-8", newline="")


@contextmanager
def replacing(path: Path, *, part: Path | None = None) -> Iterator[Path]:
    """Give the path of a temporary file to write, which replaces `path` once it has reached the disk.

    A crash leaves either the old file or the complete new one. After an error, `path` is unchanged and the temporary
    file is removed. A link at `path` is replaced; its target is not written.

    part: the temporary file, `.NAME.PID.part` in the same folder by default.
    """
    if part is None:
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def temporary_files(path: Path) -> list[Path]:
    """Return what processes have begun to write for `path` and, where they were killed, will never finish."""
    return sorted(path.parent.glob(f".{glob.escape(path.name)}.*.part"))


def _acquired(lock: BaseFileLock, *, timeout_s: float) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make new names in `folder` survive a power cut, where the system lets folders be opened."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
