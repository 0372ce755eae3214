"""Writing files so that a crash leaves the old one or the new one, under locks, with errors in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cryptoml.errors import AccessError, CryptomlError, UnavailableError

LOCK_TIMEOUT_S = 120.0


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into an error made for people."""
    try:
        yield
    except OSError as error:
        raise os_error(error, path) from error


def os_error(error: OSError, path: Path) -> CryptomlError:
    """`error` in words: AccessError when it is about permission, else UnavailableError."""
    where = error.filename or path
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AccessError(f"{where}: cannot be written: {reason}.", hint="make it writable for this user")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError(f"{where}: the disk is full.", hint="free some space, then cryptoml sync")
    return UnavailableError(f"{where}: cannot be used: {reason}.")


@contextmanager
def locked(path: Path, *, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the file lock at `path`; raises UnavailableError when another process keeps it too long.

    Raises what `os_error` makes of a lock file that cannot be opened.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=timeout_s)
    try:
        lock.acquire()
    except Timeout:
        raise UnavailableError(
            f"{path}: another process has held this lock for {timeout_s:.0f} s.", hint="try again later"
        ) from None
    except OSError as error:
        raise os_error(error, path) from error
    try:
        yield
    finally:
        lock.release()


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by a file with `text` that has reached the disk; nothing partial stays where that fails."""
    with replacing(path, part=path.with_name(f"{path.name}.{os.getpid()}.part")) as file:
        file.write(text.encode())


@contextmanager
def replacing(path: Path, *, part: Path) -> Iterator[IO[bytes]]:
    """Write to `part`, which replaces `path` once it has reached the disk, and is removed after an error."""
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make new names in `folder` survive a power cut, where the system lets folders be opened."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
