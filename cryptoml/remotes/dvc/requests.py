"""Shared parts of `push-data` and `pull-data`: result, remote of each pin, progress events."""

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
    """A data file or folder and its version; state: what was done, or why nothing was done."""

    path: str
    version: str
    state: str


@dataclass(frozen=True)
class DataResult:
    """Result for each file. transferred: number of objects copied; commit: hash of the git commit, if any."""

    remote: str
    files: tuple[VersionedFile, ...]
    transferred: int
    commit: str | None = None
    revision: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the `result` of --json."""
        return {
            "remote": self.remote,
            "revision": self.revision,
            "transferred": self.transferred,
            "commit": self.commit,
            "files": [vars(file) for file in self.files],
        }


@dataclass
class Remotes:
    """The remote of each pin: the one in the pin, else the default."""

    settings: Settings
    _resolved: dict[str | None, DvcRemote] = field(default_factory=dict)

    def of(self, pin: Pin | None) -> DvcRemote:
        """Return the remote of the pin, else the default; raise ConfigError if it does not exist."""
        name = pin.remote if pin is not None else None
        if name not in self._resolved:
            folder = self.settings.project_dir
            if pin is None or name is None:
                remote = dvc_project.default_remote(folder)
            else:
                remote = dvc_project.named_remote(folder, name, needed_by=str(pin.source))
            self._resolved[name] = dvc_probe.with_credentials(remote, self.settings)
        return self._resolved[name]

    def grouped(self, pins: Iterable[Pin]) -> Mapping[DvcRemote, list[Pin]]:
        """Group the pins by remote."""
        groups: dict[DvcRemote, list[Pin]] = {}
        for pin in pins:
            groups.setdefault(self.of(pin), []).append(pin)
        return groups

    def addresses(self) -> str:
        """Return the addresses of the used remotes, else of the default, comma-separated."""
        if not self._resolved:
            try:
                return self.of(None).address
            except CryptomlError:
                return ""
        return ", ".join(dict.fromkeys(remote.address for remote in self._resolved.values()))


def relative_to_project(folder: Path, path: Path) -> Path:
    """Return `path` relative to the project; its last component may be a link into DVC's cache and is not resolved."""
    absolute = Path(os.path.normpath(Path.cwd() / path))
    absolute = absolute.parent.resolve() / absolute.name
    if not absolute.is_relative_to(folder.resolve()):
        raise UsageError(f"{path}: is outside the project {folder}.", hint="copy it to data/")
    return absolute.relative_to(folder.resolve())


def version_of(folder: Path, pin: Pin, owner: Pin) -> str:
    """Return the version of a pinned file; `owner`: the pin of its folder, or its own."""
    return version_text(pin.md5, folder / source_file(owner), owner.md5)


def with_progress(step: str, total: int, on_event: events.OnEvent, work: Callable[[Callable[[int], None]], int]) -> int:
    """Call `work` and report its progress as events; return its result, the number of objects."""
    began = time.monotonic()
    on_event(events.StepStarted(step, total))
    transferred = work(lambda parts: on_event(events.StepAdvanced(step, parts=parts)))
    on_event(events.StepFinished(step, time.monotonic() - began))
    return transferred
