"""Restore data files as pinned by a git revision, from the cache, the remotes or the source of an import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptoml import events
from cryptoml.errors import CheckFailedError, ConfigError, CryptomlError, DataError, UsageError
from cryptoml.remotes import git, git_remote
from cryptoml.remotes.dvc import object_transfer
from cryptoml.remotes.dvc import probe as dvc_probe
from cryptoml.remotes.dvc import transfer as dvc_transfer
from cryptoml.remotes.dvc.cache import Cache, check_out, matches, open_cache
from cryptoml.remotes.dvc.pins import Pin, hash_of, owner_of, pins_at
from cryptoml.remotes.dvc.project import DvcRemote
from cryptoml.remotes.dvc.requests import (
    DataResult,
    Remotes,
    VersionedFile,
    relative_to_project,
    version_of,
    with_progress,
)
from cryptoml.remotes.dvc.session import find_root, require_root
from cryptoml.settings import Settings
from cryptoml.system.files import translate_os_errors
from cryptoml.system.plurals import counted


@dataclass(frozen=True)
class Choice:
    """A pin to pull. by_name: requested itself. names: requested files of a pinned folder, empty for all."""

    pin: Pin
    by_name: bool = False
    names: frozenset[Path] = frozenset()

    def includes(self, path: Path) -> bool:
        """Whether `path`, a file of the pinned folder, was requested."""
        return not self.names or any(path == name or name in path.parents for name in self.names)


def pull_data(
    settings: Settings,
    paths: Sequence[Path] = (),
    *,
    revision: str | None = None,
    force: bool = False,
    on_event: events.OnEvent = events.ignore,
) -> DataResult:
    """Restore the files pinned by a git revision, by default by the work tree.

    A locally changed file is not overwritten without `force`; all single files are checked before any is written.
    A second call after an interruption resumes. Raise DataError, AccessError or UnavailableError.
    """
    folder, remotes = settings.project_dir, Remotes(settings)
    require_root(folder)
    chosen = _chosen(folder, pins_at(folder, revision), paths, revision)
    cache = open_cache(folder)
    skipped = [one.pin for one in chosen if _skip_reason(folder, one, cache)]
    wanted = [one for one in chosen if one.pin not in skipped]
    pinned_now = {pin.path: pin.md5 for pin in pins_at(folder)}
    if not force:
        _refuse_to_overwrite(folder, [one.pin for one in wanted if not one.pin.is_folder], pinned_now, cache)
    n_fetched = _fetch(folder, [one.pin for one in wanted], cache, remotes, on_event)
    files = {one: [pin for pin in cache.expand(one.pin) if one.includes(pin.path)] for one in wanted}
    for one, found in files.items():
        lost = [name for name in one.names if not any(name == pin.path or name in pin.path.parents for pin in found)]
        if lost:
            raise DataError(
                f"{lost[0]}: not found in the pinned folder {one.pin.path}.",
                hint=f"choose an older revision with --rev: git log -- '{one.pin.source}'",
            )
    inner = [pin for one, found in files.items() if one.pin.is_folder for pin in found]
    n_fetched += _fetch(folder, inner, cache, remotes, on_event)
    if not force:
        _refuse_to_overwrite(folder, inner, pinned_now, cache)
    changed = {pin.path for found in files.values() for pin in found if not matches(folder, pin)}
    for found in files.values():
        for pin in found:
            if pin.path in changed:
                check_out(folder, pin, cache)
    for one, found in files.items():
        if one.pin.is_folder and not one.names:
            _remove_unlisted_files(folder, one.pin, found, cache, on_event)
    if revision is not None:
        _write_pins(folder, [one.pin for one in wanted], revision, on_event)
    rows = [VersionedFile(str(pin.path), pin.md5 or "-", f"skipped: {pin.not_on_remote}") for pin in skipped]
    for one, found in files.items():
        rows += _rows(folder, one, found, changed)
    return DataResult(remotes.addresses(), tuple(sorted(rows, key=lambda row: row.path)), n_fetched, revision=revision)


def copy_version(
    settings: Settings, path: Path, version: str, target: Path, *, on_event: events.OnEvent = events.ignore
) -> Path | None:
    """Copy a version of a data file, such as `<md5>@<git revision>`, to a folder; the work tree stays unchanged.

    The content comes from the cache, or from the remote. Return the copy, or None outside of the project and of DVC.
    Raise DataError if the remote does not have it, AccessError or UnavailableError.
    """
    folder = settings.project_dir
    md5, _, revision = version.partition("@")
    try:
        place = relative_to_project(folder, path)
    except UsageError:
        return None
    if find_root(folder) is None:
        return None
    try:
        pins = pins_at(folder, revision)
    except (UsageError, ConfigError):
        # The pin was not committed, or the commit is not here; an object is found by its content.
        pins = []
    owner = owner_of(place, pins) or Pin(place, md5)
    pin = replace(owner, path=place, md5=md5, size=None)
    cache = open_cache(folder)
    _fetch(folder, [pin], cache, Remotes(settings), on_event)
    copy = replace(pin, path=Path(place.name))
    check_out(target, copy, cache)
    return target / copy.path


def _chosen(folder: Path, pins: list[Pin], paths: Sequence[Path], revision: str | None) -> list[Choice]:
    owner_name = f"revision {revision}" if revision else "this project"
    if not pins:
        raise DataError(f"{owner_name} has no .dvc files.", hint="cryptoml push-data, or choose a revision with --rev")
    found: dict[Path, Choice] = {} if paths else {pin.path: Choice(pin) for pin in pins}
    for path in paths:
        try:
            place = relative_to_project(folder, path)
        except UsageError:
            place = Path("..")
        data = place.with_name(place.name.removesuffix(".dvc"))
        hits = [pin for pin in pins if place in (pin.source, pin.path)] or [pin for pin in pins if pin.path == data]
        below = [pin for pin in pins if place in pin.path.parents]
        owner = owner_of(place, pins)
        if not hits and not below and owner is None:
            known = ", ".join(str(pin.path) for pin in pins[:5])
            raise DataError(f"{path}: not versioned in {owner_name}.", hint=f"choose one of: {known}")
        for pin in hits or below:
            found[pin.path] = Choice(pin, by_name=pin in hits)
        if not hits and not below and owner is not None:
            before = found.get(owner.path, Choice(owner, True, frozenset({place})))
            found[owner.path] = Choice(owner, True, before.names | {place} if before.names else before.names)
    return list(found.values())


def _skip_reason(folder: Path, one: Choice, cache: Cache) -> str | None:
    """Return why a pin is skipped, or None. Raise DataError instead if it was requested by name."""
    pin = one.pin
    if pin.md5 and pin.cached and (pin.pushed or cache.has(pin) or matches(folder, pin)):
        return None
    if not pin.cached and (folder / pin.path).exists():
        return pin.not_on_remote
    reason = pin.not_on_remote or ""
    if one.by_name:
        hint = f"dvc repro {pin.stage}" if pin.stage else f"dvc update '{pin.source}'"
        if not pin.cached:
            hint = f"git checkout -- '{pin.path}', or {hint}"
        raise DataError(f"{pin.path}: not stored by DVC: {reason}.", hint=hint)
    return reason


def _fetch(folder: Path, pins: Sequence[Pin], cache: Cache, remotes: Remotes, on_event: events.OnEvent) -> int:
    """Fetch the objects missing in the cache and return their number."""
    missing = [pin for pin in pins if not cache.has(pin) and not (pin.md5 and matches(folder, pin))]
    n_fetched = 0
    for pin in [pin for pin in missing if pin.origin and not _is_on_remote(folder, pin, remotes)]:
        dvc_transfer.fetch_import(folder, pin)
        if not cache.has(pin):
            raise DataError(
                f"{pin.path}: the pinned version is neither on the DVC remote nor at its source {pin.origin}.",
                hint=f"import the current version: dvc update '{pin.source}'",
            )
        n_fetched += 1
    for remote, some in remotes.grouped(pin for pin in missing if not cache.has(pin)).items():
        n_fetched += _fetch_from(folder, remote, some, cache, on_event)
    return n_fetched


def _fetch_from(folder: Path, remote: DvcRemote, pins: Sequence[Pin], cache: Cache, on_event: events.OnEvent) -> int:
    dvc_probe.probe(folder, remote, pins[0])

    def fetch(done: Callable[[int], None]) -> int:
        return object_transfer.fetch(folder, pins, remote, on_done=done)

    try:
        return with_progress("pull", len(pins), on_event, fetch)
    except CryptomlError:
        for pin in pins:
            if not cache.has(pin):
                dvc_probe.probe(folder, remote, pin)
        raise


def _is_on_remote(folder: Path, pin: Pin, remotes: Remotes) -> bool:
    """Whether the project's remote has an import from a URL, so that the URL need not be requested."""
    if pin.of_repository:
        return False
    try:
        dvc_probe.probe(folder, remotes.of(pin), pin)
    except (DataError, ConfigError):
        return False
    return True


def _refuse_to_overwrite(folder: Path, pins: Sequence[Pin], pinned_now: dict[Path, str], cache: Cache) -> None:
    """Raise CheckFailedError for a file whose content is neither requested, nor pinned now, nor in the cache."""
    for pin in pins:
        path = folder / pin.path
        if not path.is_file() or matches(folder, pin) or cache.can_restore(path, pin):
            continue
        if pinned_now.get(pin.path) == hash_of(path, pin.hash_name):
            continue
        raise CheckFailedError(
            f"{pin.path}: has local changes that are not versioned.",
            hint="version them with cryptoml push-data, or discard them with --force",
        )


def _remove_unlisted_files(
    folder: Path, pin: Pin, files: Sequence[Pin], cache: Cache, on_event: events.OnEvent
) -> None:
    """Remove files that the pinned version of a folder lacks if the cache can restore them; else warn."""
    names = {one.path for one in files}
    kept = []
    for path in sorted((folder / pin.path).rglob("*")):
        name = path.relative_to(folder)
        if name in names or not path.is_file() or path.name.startswith("."):
            continue
        if cache.can_restore(path, pin):
            path.unlink()
        else:
            kept.append(name)
    if kept:
        on_event(events.Warned(f"{pin.path}: kept {counted(len(kept), 'unversioned file')}, such as {kept[0]}"))


def _rows(folder: Path, one: Choice, files: Sequence[Pin], changed: set[Path]) -> list[VersionedFile]:
    rows = []
    if one.pin.is_folder:
        state = "pulled" if any(pin.path in changed for pin in files) else "up to date"
        rows.append(VersionedFile(str(one.pin.path), version_of(folder, one.pin, one.pin), state))
    for pin in files:
        state = "pulled" if pin.path in changed else "up to date"
        rows.append(VersionedFile(str(pin.path), version_of(folder, pin, one.pin), state))
    return rows


def _write_pins(folder: Path, pins: Sequence[Pin], revision: str, on_event: events.OnEvent) -> None:
    """Restore the `.dvc` files of the revision, so that the next training logs that version."""
    for source in dict.fromkeys(pin.source for pin in pins):
        path = folder / source
        if path.name == "dvc.yaml":
            lock = source.with_name("dvc.lock")
            if git.output(folder, "diff", "--quiet", revision, "--", str(source), str(lock)) is not None:
                continue
            on_event(events.Warned(f"{lock}: not restored. Run: git checkout {revision} -- '{source}' '{lock}'"))
            continue
        data = git_remote.run(folder, "show", f"{revision}:./{source.as_posix()}").encode(errors="surrogateescape")
        with translate_os_errors(path):
            if not path.is_file() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
