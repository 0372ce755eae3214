"""Restore a project's settings files if a change to them fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

FILES = (
    ".env", ".env.bak", ".gitignore", ".dvcignore", ".dvc/config", ".dvc/config.local", ".dvc/.gitignore",
    ".git/config", ".git/index",
)  # fmt: skip
FOLDERS = (".git", ".dvc")


class Snapshot:
    """Context manager that restores the settings files on any exception, Ctrl-C included."""

    def __init__(self, folder: Path, *, enabled: bool = True) -> None:
        self.folder = folder
        self.enabled = enabled
        self._undo: list[Callable[[], object]] = []

    def on_failure(self, undo: Callable[[], object]) -> None:
        """Register a further undo function; they run in reverse order, and their errors are ignored."""
        self._undo.append(undo)

    def __enter__(self) -> Self:
        if self.enabled:
            self._files = {name: _read(self.folder / name) for name in FILES}
            self._new_folders = [name for name in FOLDERS if not (self.folder / name).exists()]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or not self.enabled:
            return
        for undo in reversed(self._undo):
            with suppress(Exception):
                undo()
        for name in self._new_folders:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for name, saved in self._files.items():
            path = self.folder / name
            if saved is None:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            elif _read(path) != saved and path.parent.is_dir():
                path.write_bytes(saved[0])
                path.chmod(saved[1])


def _read(path: Path) -> tuple[bytes, int] | None:
    try:
        return path.read_bytes(), path.stat().st_mode & 0o777
    except OSError:
        return None
