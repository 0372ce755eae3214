"""A project's settings files as they were, put back when a change to them fails half-way."""

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
    """`with Snapshot(folder)`: an exception inside, Ctrl-C too, puts every file back as it was."""

    def __init__(self, folder: Path, *, enabled: bool = True) -> None:
        self.folder = folder
        self.enabled = enabled
        self._undo: list[Callable[[], object]] = []

    def on_failure(self, undo: Callable[[], object]) -> None:
        """Something else to be undone, last one first; its own failure is passed over."""
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
        for name, kept in self._files.items():
            path = self.folder / name
            if kept is None:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            elif _read(path) != kept and path.parent.is_dir():
                path.write_bytes(kept[0])
                path.chmod(kept[1])


def _read(path: Path) -> tuple[bytes, int] | None:
    try:
        return path.read_bytes(), path.stat().st_mode & 0o777
    except OSError:
        return None
