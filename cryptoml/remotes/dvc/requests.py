"""What `push-data` and `pull-data` share: their result, the remote of each pin, and how progress is reported."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptoml import events
from cryptoml.errors import CryptomlError, UsageError
from cryptoml.remotes.dvc import probe as dvc_probe
from cryptoml.remotes.dvc import project as dvc_project
from cryptoml.remotes.dvc.dataset_version import version_text
from cryptoml.remotes.dvc.pins import Pin, source_file
from cryptoml.remotes.dvc.project import DvcRemote
from cryptoml.settings import Settings


@dataclass(frozen=True)
class VersionedFile:
    """A data file or folder and its version; state: what was done, or why nothing was."""

    path: str
    version: str
    state: str


@dataclass(frozen=True)
class DataResult:
    """What became of each file. transferred: objects that went over the wire; commit: git's, if one was made."""

    remote: str
    files: tuple[VersionedFile, ...]
    transferred: int
    commit: str | None = None
    revision: str | None = None

    def to_dict(self) -> dict[str, object]:
        """The `result` of --json."""
        return {
            "remote": self.remote,
            "revision": self.revision,
            "transferred": self.transferred,
            "commit": self.commit,
            "files": [vars(one) for one in self.files],
        }


@dataclass
class Remotes:
    """The remote of each pin: the one it names, else the default one."""

    settings: Settings
    _known: dict[str | None, DvcRemote] = field(default_factory=dict)

    def of(self, pin: Pin | None) -> DvcRemote:
        """The remote of the pin, or the default one; raises ConfigError where there is no such remote."""
        name = pin.remote if pin is not None else None
        if name not in self._known:
            folder = self.settings.project_dir
            if pin is None or name is None:
                found = dvc_project.default_remote(folder)
            else:
                found = dvc_project.named_remote(folder, name, needed_by=str(pin.source))
            self._known[name] = dvc_probe.with_credentials(found, self.settings)
        return self._known[name]

    def grouped(self, pins: Iterable[Pin]) -> Mapping[DvcRemote, list[Pin]]:
        """The pins by their remote."""
        groups: dict[DvcRemote, list[Pin]] = {}
        for pin in pins:
            groups.setdefault(self.of(pin), []).append(pin)
        return groups

    def addresses(self) -> str:
        """The addresses of the remotes that were used, else of the default one."""
        if not self._known:
            try:
                return self.of(None).address
            except CryptomlError:
                return ""
        return ", ".join(dict.fromkeys(one.address for one in self._known.values()))


def relative_to_project(folder: Path, path: Path) -> Path:
    """`path` relative to the project. The last name is not followed: it may be a link into DVC's cache."""
    place = Path(os.path.normpath(Path.cwd() / path))
    place = place.parent.resolve() / place.name
    if not place.is_relative_to(folder.resolve()):
        raise UsageError(f"{path}: is outside the project {folder}.", hint="copy it below data/")
    return place.relative_to(folder.resolve())


def version_of(folder: Path, pin: Pin, owner: Pin) -> str:
    """The version of a pinned file; `owner`: the pin of the folder that it belongs to, or its own."""
    return version_text(pin.md5, folder / source_file(owner), owner.md5)


def with_progress(step: str, total: int, on_event: events.OnEvent, work: Callable[[Callable[[int], None]], int]) -> int:
    """Do the work and report its progress."""
    began = time.monotonic()
    on_event(events.StepStarted(step, total))
    moved = work(lambda parts: on_event(events.StepAdvanced(step, parts=parts)))
    on_event(events.StepFinished(step, time.monotonic() - began))
    return moved
