"""The SHA-256 of a model folder: a version carries it as a tag, and its files must have it when they are loaded."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from cryptoml.errors import AccessError

MODEL_SHA256 = "model_sha256"


def model_digest(folder: Path) -> str:
    """SHA-256 of the manifest of all files below `folder`: lines of `sha256  relative/path`, sorted by path.

    Empty folders do not count. Raises AccessError for a symbolic link, a special file, or an unprintable name.
    """
    lines = {path: f"{_file_digest(folder / path)}  {path}\n" for path in _files(folder)}
    manifest = "".join(lines[path] for path in sorted(lines))
    return hashlib.sha256(manifest.encode("utf-8")).hexdigest()


def _files(folder: Path) -> list[str]:
    """Paths of all files below the folder; no link is followed."""
    found: list[str] = []
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                path = Path(entry.path).relative_to(folder).as_posix()
                if not path.isprintable():
                    raise AccessError(f"{folder}: holds a file with an unprintable name, {path!r}.")
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                    found.append(path)
                else:
                    raise AccessError(f"{folder}: {path} is a symbolic link or special file; no model holds one.")
    return found


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
