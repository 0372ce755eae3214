"""Version data files with DVC and push them to their remotes. The result lists every requested path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptoml import events
from cryptoml.data.reading.formats import ENDINGS
from cryptoml.errors import DataError
from cryptoml.remotes import git_commit
from cryptoml.remotes.dvc import object_transfer
from cryptoml.remotes.dvc import probe as dvc_probe
from cryptoml.remotes.dvc import transfer as dvc_transfer
from cryptoml.remotes.dvc.cache import Cache, matches, open_cache
from cryptoml.remotes.dvc.pins import Pin, owner_of, pins_at
from cryptoml.remotes.dvc.requests import (
    DataResult,
    Remotes,
    VersionedFile,
    relative_to_project,
    version_of,
    with_progress,
)
from cryptoml.remotes.dvc.session import require_root
from cryptoml.settings import Settings
from cryptoml.system.plurals import counted

SKIPPED = (".git", ".dvc", ".venv")


@dataclass(frozen=True)
class RequestedPath:
    """A path to push, relative to the project. by_name: the user named the path itself, not a parent folder."""

    path: Path
    by_name: bool


def push_data(
    settings: Settings,
    paths: Sequence[Path] = (),
    *,
    message: str | None = None,
    commit: bool = False,
    on_event: events.OnEvent = events.ignore,
) -> DataResult:
    """Add data files to DVC and push them to their remotes; with `commit`, commit their `.dvc` files.

    paths: files or folders, by default data/. Raise CryptomlError; added files stay added.
    """
    folder, remotes = settings.project_dir, Remotes(settings)
    require_root(folder)
    note = git_commit.check_can_commit(folder) if commit else None
    before = pins_at(folder)
    requested = _requested_paths(folder, paths, before)
    owners = {one.path: owner_of(one.path, before) for one in requested}
    _refuse_not_stored(requested, before)
    for remote in remotes.grouped(owner or Pin(path, "") for path, owner in owners.items()):
        dvc_probe.check_writable(folder, remote)
    named = [owner for one in requested if one.by_name and (owner := owners[one.path]) and owner.path != one.path]
    _fetch_lists(folder, named, open_cache(folder), remotes)
    old = _old_files(folder, before)
    targets = _targets(folder, requested, before)
    if targets:
        dvc_transfer.add(folder, [folder / path for path in targets])
    pins, cache = _pins_of(folder, requested, on_event), open_cache(folder)
    for pin in pins:
        _refuse_changed_output(folder, pin)
    stored = [pin for pin in pins if pin.not_on_remote is None]
    _fetch_lists(folder, stored, cache, remotes)
    objects = [one for pin in stored for one in ([pin, *cache.expand(pin)] if pin.is_folder else [pin])]
    sent = 0
    for remote, some in remotes.grouped(objects).items():
        sent += with_progress(
            "push",
            len(some),
            on_event,
            lambda done: object_transfer.send(folder, some, remote, on_done=done),  # noqa: B023 - called at once
        )
    committed = None
    if commit:
        if note:
            on_event(events.Warned(note))
        committed = _commit(folder, [pin for pin in stored if not pin.stage], message)
    rows = [row for pin in pins for row in _rows(folder, pin, cache, requested, old)]
    _refuse_unlisted(requested, rows)
    removed = [row.path for row in rows if row.state == "removed"]
    if removed:
        on_event(events.Warned(f"{counted(len(removed), 'file')} removed from pinned folders, such as {removed[0]}"))
    return DataResult(remotes.addresses(), tuple(rows), sent, committed)


def _requested_paths(folder: Path, paths: Sequence[Path], pins: list[Pin]) -> list[RequestedPath]:
    """Expand folders to the data files and pins below them. Raise DataError for a missing path."""
    found: dict[Path, bool] = {}
    for path in paths or [folder / "data"]:
        place = relative_to_project(folder, path)
        pinned = [pin.path for pin in pins if pin.source == place]
        if pinned:
            found |= dict.fromkeys(pinned, True)
            continue
        whole = folder / place
        below = [pin.path for pin in pins if pin.path == place or place in pin.path.parents]
        if whole.is_dir():
            files = (one for one in whole.rglob("*") if one.is_file() and one.name.endswith(ENDINGS))
            names = [one.relative_to(folder) for one in files]
            for one in sorted({*below, *(name for name in names if not set(name.parts) & set(SKIPPED))}):
                found.setdefault(one, False)
        elif whole.is_file() or below:
            found[place] = True
        elif whole.is_symlink():
            raise DataError(f"{path}: broken link.", hint=f"cryptoml pull-data '{place}'")
        elif paths:
            raise DataError(f"{path}: there is no such file.", hint="cryptoml pull-data restores versioned files")
    if not found:
        raise DataError(
            f"{folder / 'data'}: no data files to version.", hint="name a file or folder: cryptoml push-data FILE"
        )
    return [RequestedPath(path, by_name) for path, by_name in found.items()]


def _refuse_not_stored(requested: Sequence[RequestedPath], pins: list[Pin]) -> None:
    for one in requested:
        owner = owner_of(one.path, pins)
        reason = owner.not_on_remote if owner is not None else None
        if one.by_name and owner is not None and reason is not None:
            hint = f"dvc update '{owner.source}'" if owner.origin else f"change {owner.source}, or leave the path out"
            raise DataError(f"{one.path}: not stored on the DVC remote: {reason}.", hint=hint)


def _targets(folder: Path, requested: Sequence[RequestedPath], pins: list[Pin]) -> list[Path]:
    """Return the paths to add to DVC: new files, pinned files and folders, and named files of pinned folders."""
    found: dict[Path, None] = {}
    for one in requested:
        owner = owner_of(one.path, pins)
        if owner is not None and (owner.stage or owner.origin or not owner.cached):
            continue
        target = one.path if owner is None or one.by_name else owner.path
        if (folder / target).exists():
            found[target] = None
    return list(found)


def _pins_of(folder: Path, requested: Sequence[RequestedPath], on_event: events.OnEvent) -> list[Pin]:
    after = pins_at(folder)
    found: dict[Path, Pin] = {}
    for one in requested:
        owner = owner_of(one.path, after)
        if owner is None:
            raise DataError(f"{one.path}: DVC did not add it.", hint=f"dvc check-ignore -d '{one.path}'")
        found[owner.path] = owner
    for pin in found.values():
        if pin.not_on_remote is not None:
            on_event(events.Warned(f"{pin.path}: not pushed: {pin.not_on_remote}"))
    return sorted(found.values(), key=lambda pin: pin.path)


def _refuse_changed_output(folder: Path, pin: Pin) -> None:
    path = folder / pin.path
    if not (pin.stage or pin.origin) or pin.not_on_remote is not None or not path.is_file() or matches(folder, pin):
        return
    what, hint = f"the output of stage {pin.stage}", f"dvc repro {pin.stage}, or dvc commit {pin.stage}"
    if pin.origin:
        what, hint = f"imported from {pin.origin}", f"dvc update '{pin.source}', or pull-data --force to restore it"
    raise DataError(f"{pin.path}: has local changes, but it is {what}.", hint=hint)


def _fetch_lists(folder: Path, pins: Sequence[Pin], cache: Cache, remotes: Remotes) -> None:
    """Fetch the missing file lists of pinned folders; they name the objects that the remote must have."""
    for pin in pins:
        if pin.is_folder and not cache.has(pin):
            remote = remotes.of(pin)
            dvc_probe.probe(folder, remote, pin)
            object_transfer.fetch(folder, [pin], remote, on_done=lambda _: None)


def _old_files(folder: Path, pins: list[Pin]) -> dict[Path, str]:
    """Return the md5 of each previously pinned path, and of the files of folders whose list is cached."""
    found = {pin.path: pin.md5 for pin in pins}
    folders = [pin for pin in pins if pin.is_folder]
    cache = open_cache(folder) if folders else None
    for pin in folders:
        if cache is not None and cache.has(pin):
            found |= {one.path: one.md5 for one in cache.expand(pin)}
    return found


def _rows(
    folder: Path, pin: Pin, cache: Cache, requested: Sequence[RequestedPath], old: dict[Path, str]
) -> list[VersionedFile]:
    if pin.not_on_remote is not None:
        return [VersionedFile(str(pin.path), pin.md5 or "-", f"skipped: {pin.not_on_remote}")]

    def row(one: Pin) -> VersionedFile:
        state = "new" if one.path not in old else "changed" if old[one.path] != one.md5 else "unchanged"
        return VersionedFile(str(one.path), version_of(folder, one, pin), state)

    if not pin.is_folder:
        return [row(pin)]
    files = {one.path: one for one in cache.expand(pin)}
    names = [one.path for one in requested if one.path in files]
    removed = sorted(path for path in old if pin.path in path.parents and path not in files)
    return [
        row(pin),
        *(row(files[name]) for name in names),
        *(VersionedFile(str(path), "-", "removed") for path in removed),
    ]


def _refuse_unlisted(requested: Sequence[RequestedPath], rows: Sequence[VersionedFile]) -> None:
    listed = {row.path for row in rows}
    skipped = [Path(row.path) for row in rows if row.state.startswith("skipped")]
    missing = [
        one.path
        for one in requested
        if str(one.path) not in listed and not any(row in one.path.parents for row in skipped)
    ]
    if missing:
        raise DataError(
            f"{', '.join(map(str, missing[:5]))}: not pushed: the pinned folder does not contain it.",
            hint=f"check whether .dvcignore excludes it: dvc check-ignore -d '{missing[0]}'",
        )


def _commit(folder: Path, pins: Sequence[Pin], message: str | None) -> str | None:
    """Commit only the `.dvc` files and the `.gitignore` files beside the data; None if nothing changed."""
    names = sorted({str(pin.source) for pin in pins})
    ignores = {str(pin.path.parent / ".gitignore") for pin in pins}
    names += sorted(name for name in ignores if (folder / name).is_file())
    if not names:
        return None
    text = message or f"Version {', '.join(str(pin.path) for pin in pins[:3])} with DVC"
    return git_commit.commit(folder, names, text)
