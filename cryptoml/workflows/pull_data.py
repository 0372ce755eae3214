"""Data files as a revision pins them, from the cache, their remotes or the source of an import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from cryptoml.remotes.dvc.session import require_root
from cryptoml.settings import Settings
from cryptoml.system.files import translate_os_errors
from cryptoml.system.plurals import counted


@dataclass(frozen=True)
class Choice:
    """A pin that is pulled; names: of a pinned folder, the files that were asked for, none meaning all."""

    pin: Pin
    by_name: bool = False
    names: frozenset[Path] = frozenset()

    def takes(self, path: Path) -> bool:
        """Whether a file of the pinned folder is wanted."""
        return not self.names or any(path == name or name in path.parents for name in self.names)


def pull_data(
    settings: Settings,
    paths: Sequence[Path] = (),
    *,
    revision: str | None = None,
    force: bool = False,
    on_event: events.OnEvent = events.ignore,
) -> DataResult:
    """Get the files that a git revision pins, by default those of the work tree.

    A file changed here is not overwritten without `force`; nothing is written before all single files are known to
    be safe. An interrupted pull goes on where it stopped. Raises DataError, AccessError or UnavailableError.
    """
    folder, remotes = settings.project_dir, Remotes(settings)
    require_root(folder)
    chosen = _chosen(folder, pins_at(folder, revision), paths, revision)
    cache = open_cache(folder)
    skipped = [one.pin for one in chosen if _why_not(folder, one, cache)]
    wanted = [one for one in chosen if one.pin not in skipped]
    here = {pin.path: pin.md5 for pin in pins_at(folder)}
    if not force:
        _refuse_to_overwrite(folder, [one.pin for one in wanted if not one.pin.is_folder], here, cache)
    came = _fetch(folder, [one.pin for one in wanted], cache, remotes, on_event)
    files = {one: [pin for pin in cache.expand(one.pin) if one.takes(pin.path)] for one in wanted}
    for one, found in files.items():
        lost = [name for name in one.names if not any(name == pin.path or name in pin.path.parents for pin in found)]
        if lost:
            raise DataError(
                f"{lost[0]}: the pinned folder {one.pin.path} has no such file.",
                hint=f"name an older revision with --rev: git log -- '{one.pin.source}'",
            )
    inner = [pin for one, found in files.items() if one.pin.is_folder for pin in found]
    came += _fetch(folder, inner, cache, remotes, on_event)
    if not force:
        _refuse_to_overwrite(folder, inner, here, cache)
    changed = {pin.path for found in files.values() for pin in found if not matches(folder, pin)}
    for found in files.values():
        for pin in found:
            if pin.path in changed:
                check_out(folder, pin, cache)
    for one, found in files.items():
        if one.pin.is_folder and not one.names:
            _clear(folder, one.pin, found, cache, on_event)
    if revision is not None:
        _write_pins(folder, [one.pin for one in wanted], revision, on_event)
    rows = [VersionedFile(str(pin.path), pin.md5 or "-", f"skipped: {pin.not_on_remote}") for pin in skipped]
    for one, found in files.items():
        rows += _rows(folder, one, found, changed)
    return DataResult(remotes.addresses(), tuple(sorted(rows, key=lambda row: row.path)), came, revision=revision)


def _chosen(folder: Path, pins: list[Pin], paths: Sequence[Path], revision: str | None) -> list[Choice]:
    at = f"revision {revision}" if revision else "this project"
    if not pins:
        raise DataError(f"{at} pins no data: it has no .dvc file.", hint="cryptoml push-data makes them; or --rev")
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
            raise DataError(f"{path}: {at} does not pin it.", hint=f"it pins {known}")
        for pin in hits or below:
            found[pin.path] = Choice(pin, by_name=pin in hits)
        if not hits and not below and owner is not None:
            before = found.get(owner.path, Choice(owner, True, frozenset({place})))
            found[owner.path] = Choice(owner, True, before.names | {place} if before.names else before.names)
    return list(found.values())


def _why_not(folder: Path, one: Choice, cache: Cache) -> str | None:
    """Why a pin cannot be pulled; None where it can. Raises DataError where it was asked for by name."""
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
        raise DataError(f"{pin.path}: DVC does not keep it: {reason}.", hint=hint)
    return reason


def _fetch(folder: Path, pins: Sequence[Pin], cache: Cache, remotes: Remotes, on_event: events.OnEvent) -> int:
    """Get the objects that the cache lacks; how many came."""
    missing = [pin for pin in pins if not cache.has(pin) and not (pin.md5 and matches(folder, pin))]
    came = 0
    for pin in [pin for pin in missing if pin.origin and not _is_on_remote(folder, pin, remotes)]:
        dvc_transfer.fetch_import(folder, pin)
        if not cache.has(pin):
            raise DataError(
                f"{pin.path}: the pinned version is neither on the DVC remote nor at its source {pin.origin}.",
                hint=f"dvc update '{pin.source}' imports the present version",
            )
        came += 1
    for remote, some in remotes.grouped(pin for pin in missing if not cache.has(pin)).items():
        came += _fetch_from(folder, remote, some, cache, on_event)
    return came


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
    """Whether the project's remote has what was imported from an address: then it need not be asked."""
    if pin.of_repository:
        return False
    try:
        dvc_probe.probe(folder, remotes.of(pin), pin)
    except (DataError, ConfigError):
        return False
    return True


def _refuse_to_overwrite(folder: Path, pins: Sequence[Pin], here: dict[Path, str], cache: Cache) -> None:
    """A file whose bytes are neither the wanted nor the pinned nor in the cache would be lost."""
    for pin in pins:
        path = folder / pin.path
        if not path.is_file() or matches(folder, pin) or cache.can_restore(path, pin):
            continue
        if here.get(pin.path) == hash_of(path, pin.hash_name):
            continue
        raise CheckFailedError(
            f"{pin.path}: was changed here, and the change is in no version.",
            hint="keep it with cryptoml push-data, or lose it with --force",
        )


def _clear(folder: Path, pin: Pin, files: Sequence[Pin], cache: Cache, on_event: events.OnEvent) -> None:
    """Take files out of a pinned folder that its version does not have, where the cache can give them back."""
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
        on_event(events.Warned(f"{pin.path}: kept {counted(len(kept), 'file')} without a version, such as {kept[0]}"))


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
    """Make the `.dvc` files those of the revision, so that the next training logs that version."""
    for source in dict.fromkeys(pin.source for pin in pins):
        path = folder / source
        if path.name == "dvc.yaml":
            lock = source.with_name("dvc.lock")
            if git.output(folder, "diff", "--quiet", revision, "--", str(source), str(lock)) is not None:
                continue
            on_event(
                events.Warned(f"{lock} was left as it is: git checkout {revision} -- '{source}' '{lock}' restores it")
            )
            continue
        data = git_remote.run(folder, "show", f"{revision}:./{source.as_posix()}").encode(errors="surrogateescape")
        with translate_os_errors(path):
            if not path.is_file() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
