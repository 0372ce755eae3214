"""Data files versioned by DVC: `push_data` sends what is here, `pull_data` gets what a revision pins."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptoml import events
from cryptoml.errors import AnswerIsNoError, ConfigError, CryptomlError, DataError, UsageError
from cryptoml.remotes import dvc_probe, dvc_project, dvc_transfer, git, git_remote
from cryptoml.remotes.dvc import dataset_version
from cryptoml.remotes.dvc_project import DvcRemote
from cryptoml.remotes.dvc_transfer import Pin
from cryptoml.remotes.md5 import md5_of
from cryptoml.remotes.pins import pins_at
from cryptoml.settings import Settings
from cryptoml.workflows.inputs import SUFFIXES


@dataclass(frozen=True)
class VersionedFile:
    """A data file and its version; state: what was done, in a word."""

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
        """The result as JSON has it."""
        return {
            "schema": "cryptoml.data/1",
            "remote": self.remote,
            "revision": self.revision,
            "transferred": self.transferred,
            "commit": self.commit,
            "files": [vars(one) for one in self.files],
        }


def push_data(
    settings: Settings,
    paths: Sequence[Path] = (),
    *,
    message: str | None = None,
    commit: bool = False,
    on_event: events.OnEvent = events.ignore,
) -> DataResult:
    """Put data files under DVC and send them to the default remote; with `commit`, commit their `.dvc` files.

    paths: files or folders, by default everything below data/. Raises CryptomlError; what was added stays added.
    """
    folder = settings.project_dir
    remote = _remote(settings)
    files = _files(folder, paths)
    if commit and not git_remote.is_repository(folder):
        raise ConfigError(f"{folder}: is not a git repository.", mend="git init, or leave --commit out")
    dvc_probe.check_access(remote)
    old = {pin.path: pin.md5 for pin in pins_at(folder)}
    dvc_transfer.add(folder, files)
    relative = [path.relative_to(folder) for path in files]
    pins = [pin for pin in pins_at(folder) if pin.path in relative]
    sent = _told("push", len(pins), on_event, lambda done: dvc_transfer.push(folder, pins, remote, on_done=done))
    made = None
    if commit:
        made = _commit(folder, pins, message or f"Version {', '.join(str(pin.path) for pin in pins[:3])} with DVC")
    done = tuple(
        VersionedFile(
            str(pin.path),
            dataset_version(folder / pin.path).text,
            "new" if pin.path not in old else "changed" if old[pin.path] != pin.md5 else "unchanged",
        )
        for pin in pins
    )
    return DataResult(remote.url, done, sent, made)


def pull_data(
    settings: Settings,
    paths: Sequence[Path] = (),
    *,
    revision: str | None = None,
    force: bool = False,
    on_event: events.OnEvent = events.ignore,
) -> DataResult:
    """Get the files that a git revision pins (by default the work tree's `.dvc` files) from the default remote.

    A file changed here is not overwritten without `force`; nothing is written before all of them are known to be
    safe. An interrupted pull goes on where it stopped. Raises DataError, AccessError or UnavailableError.
    """
    folder = settings.project_dir
    remote = _remote(settings)
    pins = _chosen(folder, pins_at(folder, revision), paths, revision)
    here = {pin.path: pin.md5 for pin in pins_at(folder)}
    missing = [pin for pin in pins if not dvc_transfer.in_cache(folder, pin.md5)]
    if not force:
        _refuse_to_overwrite(folder, [pin for pin in pins if not pin.is_folder], here)
    came = 0
    if missing:
        dvc_probe.probe(remote, missing[0].md5, what=str(missing[0].path))

        def fetch(done: Callable[[int], None]) -> int:
            return dvc_transfer.fetch(folder, missing, remote, on_done=done)

        try:
            came = _told("pull", len(missing), on_event, fetch)
        except CryptomlError:
            for pin in missing:
                if not dvc_transfer.in_cache(folder, pin.md5):
                    dvc_probe.probe(remote, pin.md5, what=str(pin.path))
            raise
    done = []
    for pin in pins:
        singles = dvc_transfer.files_of(folder, pin)
        if pin.is_folder and not force:
            _refuse_to_overwrite(folder, singles, {})
        changed = [one for one in singles if _md5(folder / one.path) != one.md5]
        for one in changed:
            dvc_transfer.check_out(folder, one)
        if revision is not None:
            _write_pin(folder, pin, revision)
        version = dataset_version(folder / pin.path).text if not pin.is_folder else pin.md5
        done.append(VersionedFile(str(pin.path), version, "pulled" if changed else "up to date"))
    return DataResult(remote.url, tuple(done), came, revision=revision)


def _remote(settings: Settings) -> DvcRemote:
    return dvc_probe.with_credentials(dvc_project.default_remote(settings.project_dir), settings)


def _files(folder: Path, paths: Sequence[Path]) -> list[Path]:
    """Single files, absolute; folders stand for the data files below them."""
    found: list[Path] = []
    for path in paths or [folder / "data"]:
        place = path.resolve()
        if not place.is_relative_to(folder.resolve()):
            raise UsageError(f"{path}: is outside the project {folder}.", mend="copy it below data/")
        if place.is_dir():
            found += sorted(one for one in place.rglob("*") if one.is_file() and one.name.endswith(SUFFIXES))
        elif place.is_file():
            found.append(place)
        elif paths:
            raise DataError(f"{path}: there is no such file.", mend="cryptoml pull-data gets what others have pushed")
    if not found:
        raise DataError(
            f"{folder / 'data'}: there are no data files to version.", mend="name them: cryptoml push-data FILE"
        )
    return found


def _chosen(folder: Path, pins: Sequence[Pin], paths: Sequence[Path], revision: str | None) -> list[Pin]:
    at = f"revision {revision}" if revision else "this project"
    if not pins:
        raise DataError(f"{at} pins no data: it has no .dvc file.", mend="cryptoml push-data makes them; or --rev")
    if not paths:
        return list(pins)
    chosen: list[Pin] = []
    for path in paths:
        place = Path(str(path).removesuffix(".dvc")).resolve()
        hits = [pin for pin in pins if (folder / pin.path).resolve().is_relative_to(place)]
        if not hits:
            known = ", ".join(str(pin.path) for pin in pins[:5])
            raise DataError(f"{path}: {at} does not pin it.", mend=f"it pins {known}")
        chosen += hits
    return chosen


def _refuse_to_overwrite(folder: Path, pins: Sequence[Pin], here: dict[Path, str]) -> None:
    """A file whose bytes are neither the wanted nor the pinned nor in the cache would be lost."""
    for pin in pins:
        found = _md5(folder / pin.path)
        if found is None or found in (pin.md5, here.get(pin.path)) or dvc_transfer.in_cache(folder, found):
            continue
        raise AnswerIsNoError(
            f"{pin.path}: was changed here, and the change is in no version.",
            mend="keep it with cryptoml push-data, or lose it with --force",
        )


def _md5(path: Path) -> str | None:
    return md5_of(path) if path.is_file() else None


def _write_pin(folder: Path, pin: Pin, revision: str) -> None:
    name = f"{pin.path}.dvc"
    text = git_remote.run(folder, "show", f"{revision}:./{name}")
    path = folder / name
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _commit(folder: Path, pins: Sequence[Pin], message: str) -> str | None:
    """Commit the `.dvc` files and the `.gitignore` beside them, nothing else; None when nothing had changed."""
    names = [f"{pin.path}.dvc" for pin in pins]
    ignores = {str(pin.path.parent / ".gitignore") for pin in pins}
    names += sorted(name for name in ignores if (folder / name).is_file())
    git_remote.run(folder, "add", "--", *names)
    if git.ask(folder, "diff", "--cached", "--quiet", "--", *names) is not None:
        return None
    git_remote.run(folder, "commit", "--quiet", "-m", message, "--", *names)
    return git.current_commit(folder)


def _told(step: str, total: int, on_event: events.OnEvent, work: Callable[[Callable[[int], None]], int]) -> int:
    began = time.monotonic()
    on_event(events.StepStarted(step, total))
    moved = work(lambda parts: on_event(events.StepAdvanced(step, parts=parts)))
    on_event(events.StepFinished(step, time.monotonic() - began))
    return moved
