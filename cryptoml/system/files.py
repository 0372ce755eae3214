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
    """Re-raise an OSError about `path` as the error returned by `os_error`."""
    try:
        yield
    except OSError as error:
        raise os_error(error, path) from error


def os_error(error: OSError, path: Path) -> CryptomlError:
    """Translate `error` to AccessError if a permission is missing, else to UnavailableError."""
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
    """Hold the file lock at `path`, which is released when its process ends.

    on_wait: called once if another process holds the lock and `timeout_s` is positive. busy: returns the error to raise
    in place of UnavailableError. Raises UnavailableError if the lock is still held after `timeout_s` seconds, and the
    error of `os_error` if the lock file cannot be opened.
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
    """Write `text` to `path` in UTF-8, atomically; `private` makes the file readable only by its owner (mode 0600)."""
    with replacing(path) as part:
        if private:
            part.touch(mode=0o600, exist_ok=False)
        part.write_text(text, encoding="utf-8", newline="")


@contextmanager
def replacing(path: Path, *, part: Path | None = None) -> Iterator[Path]:
    """Yield the path of a temporary file, which is synced to disk and replaces `path` at the end of the block.

    After a crash, `path` is either the old file or the complete new one. After an error, `path` is unchanged and the
    temporary file is removed. A symbolic link at `path` is replaced; its target is unchanged.

    part: the temporary file, by default `.NAME.PID.part` in the same folder.
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
    """Return the temporary files of `replacing` for `path`, of running processes and of killed ones."""
    return sorted(path.parent.glob(f".{glob.escape(path.name)}.*.part"))


def _acquired(lock: BaseFileLock, *, timeout_s: float) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Sync `folder` to disk, so that files created in it survive a power failure; no-op if the system has no way to."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
