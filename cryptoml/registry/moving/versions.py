"""Registered models of one store for another: versions, stages, aliases and the ledger of promotions."""

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
    """A registered model as the source has it. raw_ledger: the tags of its ledger, unchanged."""

    name: str
    description: str
    tags: Mapping[str, str]
    raw_ledger: Mapping[str, str]
    aliases: Mapping[str, str]
    versions: tuple[Version, ...]

    @property
    def ledger(self) -> Ledger:
        """The ledger of promotions."""
        return ledgers.read_ledger(self.raw_ledger)


@dataclass(frozen=True)
class VersionMap:
    """What became of the versions of a model: number in the source -> number in the target.

    added: those made now, by their number in the source; lost: what could not be copied, in sentences.
    kept: every number means the same version in both, so that the ledger of the source stays true in the target.
    """

    mapping: Mapping[str, str]
    added: tuple[str, ...]
    kept: bool
    lost: tuple[str, ...] = ()


def read_model(store: Store, name: str) -> ModelCopy:
    """Everything that the store knows of a registered model, versions in ascending order."""
    with translate_store_errors(store.uri, f"read the model {name}"):
        model = store.client.get_registered_model(name)
    tags = dict(model.tags)
    raw = {key: text for key, text in tags.items() if key.startswith(ledgers.TAG) or key == ledgers.DONE_TAG}
    return ModelCopy(
        name=name,
        description=model.description or "",
        tags={key: text for key, text in tags.items() if key not in raw},
        raw_ledger=raw,
        aliases={alias: str(number) for alias, number in dict(model.aliases).items()},
        versions=tuple(reversed(list_versions(store, name))),
    )


def model_names(store: Store) -> tuple[str, ...]:
    """The names of all registered models."""
    names: list[str] = []
    search = store.client.search_registered_models
    with translate_store_errors(store.uri, "list the registered models"):
        for page in all_pages(lambda token: search(max_results=100, page_token=token), store.uri):
            names += [model.name for model in page]
    return tuple(sorted(names))


def plan_versions(store: Store, copy: ModelCopy, runs: Mapping[str, str]) -> VersionMap:
    """What `copy_versions` would find in the target; changes nothing."""
    return _Versions(store, copy, runs, "").numbers()


def copy_versions(store: Store, copy: ModelCopy, runs: Mapping[str, str], *, fingerprint: str) -> VersionMap:
    """Register the versions that the target does not have yet; `runs` maps run ids of the source to the target's.

    Numbers are preserved while the target has no version of its own; a number that the source no longer has is used up
    by a version that is deleted again.
    """
    with translate_store_errors(store.uri, f"make the model {copy.name}"):
        ensure_model(store, copy.name, description=copy.description)
    work = _Versions(store, copy, runs, fingerprint)
    work.bring()
    return work.numbers()


@dataclass
class _Versions:
    store: Store
    copy: ModelCopy
    runs: Mapping[str, str]
    fingerprint: str
    mapping: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        there = sorted(list_versions(self.store, self.copy.name), key=lambda one: int(one.version))
        self.placeholders = [one.version for one in there if PLACEHOLDER_TAG in one.tags]
        free = {one.version: one for one in there if PLACEHOLDER_TAG not in one.tags}
        # A version that names its number in the source goes first; the others are known by run and folder.
        for by_number in (True, False):
            for old in self.copy.versions:
                found = None if old.version in self.mapping else self._match(old, free, by_number=by_number)
                if found is not None:
                    self.mapping[old.version] = found
                    del free[found]
        self.foreign = bool(free)
        tags = read_target(self.store, self.copy.name) or {}
        self.settled = MOVED_FROM_TAG in tags
        # A number in the ledger has been used, though its version may be deleted by now.
        used = [int(one.version) for one in there] + _numbers_in(ledgers.read_ledger(tags))
        self.highest = max(used, default=0)

    def numbers(self) -> VersionMap:
        """What is known by now."""
        same = all(old == new for old, new in self.mapping.items())
        return VersionMap(dict(self.mapping), tuple(self.added), same and not self.foreign, tuple(self.lost))

    def bring(self) -> None:
        """Make what is not there, in ascending order of numbers."""
        with translate_store_errors(self.store.uri, f"register versions of {self.copy.name}"):
            for old in self.copy.versions:
                if old.version not in self.mapping:
                    self._bring(old)
            named = _numbers_in(self.copy.ledger)
            if self.mapping and named and not self.settled and self._preserving():
                # Deleted versions that the ledger names: their numbers must never be given to another.
                self._fill(max(named), next(iter(self.mapping.values())))
            for number in self.placeholders:
                self.store.client.delete_model_version(self.copy.name, number)
            self.placeholders.clear()

    def _bring(self, old: Version) -> None:
        run_id, path = self.runs.get(old.run_id), model_path(old)
        if run_id is None or path is None:
            why = "its model is not stored in a run" if path is None else f"its run {old.run_id or '-'} was not copied"
            self.lost.append(f"{self.copy.name} v{old.version} was not copied: {why}")
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
        made = self._create(source, run_id, tags, old.description, lambda one: one.tags.get(MOVED_FROM_TAG) == origin)
        self.highest = max(self.highest, made)
        self.mapping[old.version] = str(made)
        self.added.append(old.version)

    def _create(
        self, source: str, run_id: str, tags: Mapping[str, str], description: str, same: Callable[[Version], bool]
    ) -> int:
        """Create a version, once even where the answer is lost; its number. `same` recognises it in the target."""
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
                lambda: next((one.version for one in list_versions(self.store, self.copy.name) if same(one)), None),
                # The version of an empty answer is an empty text.
                valid=bool,
            )
        )

    def _preserving(self) -> bool:
        return self.numbers().kept

    def _fill(self, last: int, known: str = "", *, source: str = "", run_id: str = "") -> None:
        """Use up the numbers to `last`, so that no version gets one that meant another version in the source."""
        if known and last > self.highest:
            version = self.store.client.get_model_version(self.copy.name, known)
            source, run_id = version.source, version.run_id
        while self.highest < last:
            above = self.highest
            self.highest = self._create(
                source,
                run_id,
                {PLACEHOLDER_TAG: "true"},
                "",
                lambda one, above=above: PLACEHOLDER_TAG in one.tags and int(one.version) > above,  # type: ignore[misc]
            )
            self.placeholders.append(str(self.highest))

    def _match(self, old: Version, free: Mapping[str, Version], *, by_number: bool) -> str | None:
        run_id, path = self.runs.get(old.run_id), model_path(old)
        for number, one in free.items():
            if not run_id or one.run_id != run_id or model_path(one) != path:
                continue
            if not by_number or one.tags.get(MOVED_FROM_TAG, "").rpartition("/")[2] == old.version:
                return number
        return None


def model_path(version: Version) -> str | None:
    """The folder of a version's model in its run; None for a model that is stored elsewhere."""
    found = re.fullmatch(r"runs:/[^/]+/(.+?)/?", version.source)
    if found:
        return found[1]
    if not version.source:
        return MODEL_PATH
    _, run, path = version.source.rstrip("/").rpartition(f"/{version.run_id}/artifacts/")
    return path if run and path and version.run_id else None


def read_target(store: Store, name: str) -> Mapping[str, str] | None:
    """The tags of the model in the target; None when there is no such model."""
    with translate_store_errors(store.uri, f"read the model {name}"):
        model = model_or_none(store, name)
        return None if model is None else dict(model.tags)


def _numbers_in(ledger: Ledger) -> list[int]:
    return [int(entry.version) for entry in ledger.entries if entry.version.isdecimal()]
