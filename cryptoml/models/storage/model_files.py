"""Opens the files of a stored model, which must be regular files."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

from cryptoml.errors import AccessError
from cryptoml.models.storage.archive import UNTRUSTED


def open_plain(path: Path) -> IO[bytes]:
    """Open a file of a model for reading; raises AccessError for a symbolic link, OSError if it is unreadable."""
    if path.is_symlink():
        raise AccessError(f"{path}: is a symbolic link; stored models contain none.", hint=UNTRUSTED)
    # O_NONBLOCK: opening a named pipe must not block.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is not a regular file")
    return os.fdopen(descriptor, "rb")
