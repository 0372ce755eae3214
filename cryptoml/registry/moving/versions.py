"""Read registered models of a store, and copy their versions to another store."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptoml.registry import ledger as ledgers
from cryptoml.registry.ledger import Ledger
from cryptoml.registry.version_search import model_or_none
from cryptoml.registry.versions import MODEL_PATH, Version, ensure_model, list_versions
from cryptoml.tracking.moving.export import MOVED_FROM_TAG
from cryptoml.tracking.store.errors import translate_store_errors
from cryptoml.tracking.store.lost_responses import send_once
from cryptoml.tracking.store.response_limits import all_pages

if TYPE_CHECKING:
    from cryptoml.tracking.store.store import Store

CREATED_TAG = "cryptoml.created"
PLACEHOLDER_TAG = "cryptoml.placeholder"


@dataclass(frozen=True)
class ModelCopy:
    """A registered model in the source. raw_ledger: the unchanged tags of its ledger."""

    name: str
    description: str
    tags: Mapping[str, str]
    raw_ledger: Mapping[str, str]
    aliases: Mapping[str, str]
    versions: tuple[Version, ...]

    @property
    def ledger(self) -> Ledger:
        """The promotion ledger."""
        return ledgers.read_ledger(self.raw_ledger)


@dataclass(frozen=True)
class VersionMap:
    """Version numbers of a model: number in the source -> number in the target.

    added: source numbers of the versions created now; lost: a sentence for each version that could not be copied.
    kept: whether all numbers are the same in both, so that the source's ledger is valid in the target.
    """

    mapping: Mapping[str, str]
    added: tuple[str, ...]
    kept: bool
    lost: tuple[str, ...] = ()


def read_model(store: Store, name: str) -> ModelCopy:
    """Read a registered model with all versions, in ascending order."""
    with translate_store_errors(store.uri, f"read the model {name}"):
        model = store.client.get_registered_model(name)
    tags = dict(model.tags)
    ledger = {key: text for key, text in tags.items() if key.startswith(ledgers.TAG) or key == ledgers.DONE_TAG}
    return ModelCopy(
        name=name,
        description=model.description or "",
        tags={key: text for key, text in tags.items() if key not in ledger},
        raw_ledger=ledger,
        aliases={alias: str(number) for alias, number in dict(model.aliases).items()},
        versions=tuple(reversed(list_versions(store, name))),
    )


def model_names(store: Store) -> tuple[str, ...]:
    """Return the names of all registered models, sorted."""
    names: list[str] = []
    search = store.client.search_registered_models
    with translate_store_errors(store.uri, "list the registered models"):
        for page in all_pages(lambda token: search(max_results=100, page_token=token), store.uri):
            names += [model.name for model in page]
    return tuple(sorted(names))


def plan_versions(store: Store, copy: ModelCopy, runs: Mapping[str, str]) -> VersionMap:
    """Return the versions that the target already has; changes nothing."""
    return _VersionCopy(store, copy, runs, "").numbers()


def copy_versions(store: Store, copy: ModelCopy, runs: Mapping[str, str], *, fingerprint: str) -> VersionMap:
    """Register the versions missing in the target; `runs` maps run ids in the source to those in the target.

    Version numbers are preserved unless the target has other versions; numbers missing in the source are consumed by
    placeholder versions, which are deleted afterwards.
    """
    with translate_store_errors(store.uri, f"create the model {copy.name}"):
        ensure_model(store, copy.name, description=copy.description)
    work = _VersionCopy(store, copy, runs, fingerprint)
    work.run()
    return work.numbers()


@dataclass
class _VersionCopy:
    store: Store
    copy: ModelCopy
    runs: Mapping[str, str]
    fingerprint: str
    mapping: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        existing = sorted(list_versions(self.store, self.copy.name), key=lambda version: int(version.version))
        self.placeholders = [version.version for version in existing if PLACEHOLDER_TAG in version.tags]
        free = {version.version: version for version in existing if PLACEHOLDER_TAG not in version.tags}
        # First match versions tagged with their source number, then the others by run and folder.
        for by_number in (True, False):
            for old in self.copy.versions:
                match = None if old.version in self.mapping else self._match(old, free, by_number=by_number)
                if match is not None:
                    self.mapping[old.version] = match
                    del free[match]
        self.has_other_versions = bool(free)
        tags = read_target(self.store, self.copy.name) or {}
        self.is_copied = MOVED_FROM_TAG in tags
        # Numbers in the ledger are used, even if their versions were deleted.
        used = [int(version.version) for version in existing] + _numbers_in(ledgers.read_ledger(tags))
        self.highest = max(used, default=0)

    def numbers(self) -> VersionMap:
        """Return the current state of the copy."""
        is_same = all(old == new for old, new in self.mapping.items())
        return VersionMap(
            dict(self.mapping), tuple(self.added), is_same and not self.has_other_versions, tuple(self.lost)
        )

    def run(self) -> None:
        """Create missing versions in ascending order of their numbers."""
        with translate_store_errors(self.store.uri, f"register versions of {self.copy.name}"):
            for old in self.copy.versions:
                if old.version not in self.mapping:
                    self._copy(old)
            named = _numbers_in(self.copy.ledger)
            if self.mapping and named and not self.is_copied and self._preserving():
                # Consume the numbers of deleted versions that the ledger mentions: they must not be reused.
                self._fill(max(named), next(iter(self.mapping.values())))
            for number in self.placeholders:
                self.store.client.delete_model_version(self.copy.name, number)
            self.placeholders.clear()

    def _copy(self, old: Version) -> None:
        run_id, path = self.runs.get(old.run_id), model_path(old)
        if run_id is None or path is None:
            reason = (
                "its model is not stored in a run" if path is None else f"its run {old.run_id or '-'} was not copied"
            )
            self.lost.append(f"{self.copy.name} v{old.version} was not copied: {reason}")
            return
        source = f"runs:/{run_id}/{path}"
        if self._preserving():
            self._fill(int(old.version) - 1, source=source, run_id=run_id)
        created = datetime.fromtimestamp(old.created_ms / 1000, UTC)
        origin = f"{self.fingerprint}/{self.copy.name}/{old.version}"
        tags = {
            **old.tags,
            CREATED_TAG: old.tags.get(CREATED_TAG, f"{created:%Y-%m-%dT%H:%M:%SZ}"),
            MOVED_FROM_TAG: origin,
        }
        number = self._create(
            source, run_id, tags, old.description, lambda version: version.tags.get(MOVED_FROM_TAG) == origin
        )
        self.highest = max(self.highest, number)
        self.mapping[old.version] = str(number)
        self.added.append(old.version)

    def _create(
        self, source: str, run_id: str, tags: Mapping[str, str], description: str, is_same: Callable[[Version], bool]
    ) -> int:
        """Create a version once, even if a response is lost; return its number. `is_same` identifies it."""
        return int(
            send_once(
                self.store,
                lambda: str(
                    self.store.client.create_model_version(
                        self.copy.name,
                        source,
                        run_id,
                        tags=dict(tags),
                        description=description or None,
                        await_creation_for=0,
                    ).version
                ),
                lambda: next(
                    (version.version for version in list_versions(self.store, self.copy.name) if is_same(version)), None
                ),
                # An empty response has an empty version.
                valid=bool,
            )
        )

    def _preserving(self) -> bool:
        return self.numbers().kept

    def _fill(self, last: int, template: str = "", *, source: str = "", run_id: str = "") -> None:
        """Consume version numbers up to `last` with placeholders, so that no number is reused for another version."""
        if template and last > self.highest:
            version = self.store.client.get_model_version(self.copy.name, template)
            source, run_id = version.source, version.run_id
        while self.highest < last:
            previous = self.highest
            self.highest = self._create(
                source,
                run_id,
                {PLACEHOLDER_TAG: "true"},
                "",
                lambda version, previous=previous: PLACEHOLDER_TAG in version.tags and int(version.version) > previous,  # type: ignore[misc]
            )
            self.placeholders.append(str(self.highest))

    def _match(self, old: Version, free: Mapping[str, Version], *, by_number: bool) -> str | None:
        run_id, path = self.runs.get(old.run_id), model_path(old)
        for number, version in free.items():
            if not run_id or version.run_id != run_id or model_path(version) != path:
                continue
            if not by_number or version.tags.get(MOVED_FROM_TAG, "").rpartition("/")[2] == old.version:
                return number
        return None


def model_path(version: Version) -> str | None:
    """Return the folder of a version's model in its run; None if the model is stored elsewhere."""
    match = re.fullmatch(r"runs:/[^/]+/(.+?)/?", version.source)
    if match:
        return match[1]
    if not version.source:
        return MODEL_PATH
    _, run, path = version.source.rstrip("/").rpartition(f"/{version.run_id}/artifacts/")
    return path if run and path and version.run_id else None


def read_target(store: Store, name: str) -> Mapping[str, str] | None:
    """Return the tags of the model in the target; None if it does not exist."""
    with translate_store_errors(store.uri, f"read the model {name}"):
        model = model_or_none(store, name)
        return None if model is None else dict(model.tags)


def _numbers_in(ledger: Ledger) -> list[int]:
    return [int(entry.version) for entry in ledger.entries if entry.version.isdecimal()]
