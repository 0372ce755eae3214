"""Copy stages, aliases and ledger of a registered model to another store, after its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cryptoml.registry import ledger as ledgers
from cryptoml.registry.moving.versions import ModelCopy, VersionMap
from cryptoml.registry.mutex import registry_lock
from cryptoml.registry.transitions import ALIASED, set_stage_field
from cryptoml.registry.version_search import STAGE_TAG
from cryptoml.tracking.moving.export import MOVED_FROM_TAG
from cryptoml.tracking.store.errors import translate_store_errors

if TYPE_CHECKING:
    from cryptoml.tracking.store.store import Store

ASIDE_TAG = "cryptoml.moved-ledger."
LedgerPlace = Literal["none", "moved", "aside", "unchanged"]


@dataclass(frozen=True)
class CopiedState:
    """What was copied. ledger: `aside` if it is stored under other tags, because its version numbers differ here."""

    aliases: tuple[tuple[str, str], ...]
    ledger: LedgerPlace
    entries: int
    notes: tuple[str, ...]


def copy_state(store: Store, copy: ModelCopy, numbers: VersionMap, *, fingerprint: str, mirror: Path) -> CopiedState:
    """Copy stages, aliases, tags and ledger of the model once, so that later promotions in the target are not undone.

    mirror: the target's ledger mirror on disk. The ledger is copied unchanged if all version numbers are the same and
    the target has no ledger; otherwise it is stored under separate tags.
    """
    if _is_copied(store, copy):
        return CopiedState((), "unchanged", 0, ())
    with registry_lock(store, copy.name):
        work = _StateCopy(store, copy, numbers, fingerprint, mirror)
        with translate_store_errors(store.uri, f"copy stages and ledger of {copy.name}"):
            return work.run()


def _is_copied(store: Store, copy: ModelCopy) -> bool:
    with translate_store_errors(store.uri, f"read the model {copy.name}"):
        return MOVED_FROM_TAG in store.client.get_registered_model(copy.name).tags


@dataclass
class _StateCopy:
    store: Store
    copy: ModelCopy
    numbers: VersionMap
    fingerprint: str
    mirror: Path
    notes: list[str] = field(default_factory=list)

    def run(self) -> CopiedState:
        client, name = self.store.client, self.copy.name
        model = client.get_registered_model(name)
        place = self._ledger(dict(model.tags))
        aliases = self._aliases(model, place)
        self._stages(dict(aliases))
        for key, text in self.copy.tags.items():
            if key not in model.tags and key != MOVED_FROM_TAG:
                client.set_registered_model_tag(name, key, text)
        if self.copy.description and not model.description:
            client.update_registered_model(name, description=self.copy.description)
        # Set this tag last: without it, the next call copies the state again.
        client.set_registered_model_tag(name, MOVED_FROM_TAG, f"{self.fingerprint}/{name}")
        return CopiedState(tuple(aliases.items()), place, len(self.copy.ledger.entries), tuple(self.notes))

    def _ledger(self, tags: Mapping[str, str]) -> LedgerPlace:
        if not self.copy.raw_ledger:
            return "none"
        entries = [key for key in sorted(self.copy.raw_ledger) if key.startswith(ledgers.TAG)]
        existing = [key for key in tags if key.startswith(ledgers.TAG)]
        is_same = all(tags[key] == self.copy.raw_ledger.get(key) for key in existing)
        if self.numbers.kept and is_same:
            for key in entries:
                if key not in tags:
                    self._tag(key, self.copy.raw_ledger[key])
            finished = self.copy.raw_ledger.get(ledgers.DONE_TAG, "0")
            if tags.get(ledgers.DONE_TAG) != finished:
                self._tag(ledgers.DONE_TAG, finished)
            ledgers.write_mirror(self.mirror, self.copy.ledger.entries)
            return "moved"
        for key in entries:
            self._tag(self._aside(key), self.copy.raw_ledger[key])
        self._keep_mirror(ledgers.read_ledger(tags))
        self.notes.append(
            f"{self.copy.name}: the target has other version numbers or another ledger; the source's ledger is stored "
            f"unchanged, with the source's version numbers, in the model's tags {self._aside(ledgers.TAG)}* and in "
            f"{self._mirror_aside()}"
        )
        return "aside"

    def _aside(self, key: str) -> str:
        return f"{ASIDE_TAG}{self.fingerprint}.{key.removeprefix(ledgers.TAG)}"

    def _mirror_aside(self) -> Path:
        return self.mirror.with_name(f"{self.mirror.stem}.moved-{self.fingerprint}{self.mirror.suffix}")

    def _keep_mirror(self, target: ledgers.Ledger) -> None:
        """If the project's mirror is of the source's ledger, replace it by a mirror of the target's."""
        source = self.copy.ledger.entries
        ledgers.write_mirror(self._mirror_aside(), source)
        if self.mirror.is_file() and not ledgers.compare_mirror(self.mirror, source):
            self.mirror.unlink()
        ledgers.write_mirror(self.mirror, target.entries)

    def _aliases(self, model: Any, place: LedgerPlace) -> dict[str, str]:
        """Set the source's aliases, except those that the target already has or its ledger controls."""
        existing = {alias: str(number) for alias, number in dict(model.aliases).items()}
        has_own_ledger = any(key.startswith(ledgers.TAG) for key in model.tags) and place != "moved"
        copied: dict[str, str] = {}
        for alias, old in sorted(self.copy.aliases.items()):
            new = self.numbers.mapping.get(old)
            if new is None:
                self.notes.append(f"{self.copy.name}: the alias {alias} of v{old} was not set: v{old} was not copied")
            elif existing.get(alias, new) != new:
                self.notes.append(f"{self.copy.name}: {alias} remains v{existing[alias]}; in the source it is v{old}")
            elif has_own_ledger and alias in ALIASED and alias not in existing:
                self.notes.append(
                    f"{self.copy.name}: {alias} was not set because the target has its own ledger: "
                    f"cryptoml promote v{new} {alias}"
                )
            else:
                if alias not in existing:
                    self.store.client.set_registered_model_alias(self.copy.name, alias, new)
                copied[alias] = new
        return copied

    def _stages(self, aliases: Mapping[str, str]) -> None:
        for old in self.copy.versions:
            new = self.numbers.mapping.get(old.version)
            stage = old.stage if old.stage != "none" else old.tags.get(STAGE_TAG, "none")
            if new is None or stage == "none":
                continue
            if stage in ALIASED and aliases.get(stage) != new:
                self.store.client.set_model_version_tag(self.copy.name, new, STAGE_TAG, "none")
            else:
                set_stage_field(self.store, self.copy.name, new, stage)

    def _tag(self, key: str, text: str) -> None:
        self.store.client.set_registered_model_tag(self.copy.name, key, text)
