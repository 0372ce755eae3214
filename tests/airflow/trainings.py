"""Watches which trainings run in a project, so that a test can tell whether two ever did at once."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Self

import psutil


class Trainings:
    """Looks at the process table ten times a second until the `with` ends. most: the most at one moment.

    A training is counted by its process group, as it may have several processes.
    """

    def __init__(self, project: Path) -> None:
        self.project = project
        self.most = 0
        self.seen: set[int] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def now(self) -> list[psutil.Process]:
        """The `cryptoml train` processes of the project, the topmost first."""
        found = [one for one in psutil.process_iter(["cmdline", "cwd"]) if self._is_training(one)]
        return sorted(found, key=lambda one: one.create_time())

    def _groups(self) -> set[int]:
        groups = set()
        for one in self.now():
            with suppress(ProcessLookupError):
                groups.add(os.getpgid(one.pid))
        return groups

    def _is_training(self, process: psutil.Process) -> bool:
        words = process.info["cmdline"] or []
        named = any(word.endswith("/cryptoml") and after == "train" for word, after in pairwise(words))
        return named and process.info["cwd"] == str(self.project)

    def _watch(self) -> None:
        while not self._end.is_set():
            groups = self._groups()
            self.most = max(self.most, len(groups))
            self.seen |= groups
            time.sleep(0.1)
