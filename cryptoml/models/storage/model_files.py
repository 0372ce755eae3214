"""Opens the files of a stored model: regular files only, no symbolic links."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

from cryptoml.errors import AccessError
from cryptoml.models.storage.archive import UNTRUSTED


def open_plain(path: Path) -> IO[bytes]:
    """Open a file of a model for reading; raises AccessError for a symbolic link, OSError for anything unreadable."""
    if path.is_symlink():
        raise AccessError(f"{path}: is a symbolic link, which no stored model holds.", hint=UNTRUSTED)
    # O_NONBLOCK: a named pipe in place of the file must not block.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is no regular file")
    return os.fdopen(descriptor, "rb")
