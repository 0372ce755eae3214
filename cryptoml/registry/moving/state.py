"""Stages, aliases and the ledger of a registered model, brought to another store once its versions are there."""

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
class State:
    """What was brought. ledger: `aside` when it is kept under other tags, as its numbers mean other versions here."""

    aliases: tuple[tuple[str, str], ...]
    ledger: LedgerPlace
    entries: int
    notes: tuple[str, ...]


def copy_state(store: Store, copy: ModelCopy, numbers: VersionMap, *, fingerprint: str, mirror: Path) -> State:
    """Set stages, aliases, tags and ledger of the model, once: promotions made in the target later are not undone.

    mirror: the copy of the target's ledger on disk. The ledger is written unchanged where every number means the same
    version and the target has no ledger of its own; else it is kept under tags of its own.
    """
    if _is_settled(store, copy):
        return State((), "unchanged", 0, ())
    with registry_lock(store, copy.name):
        work = _Work(store, copy, numbers, fingerprint, mirror)
        with translate_store_errors(store.uri, f"bring stages and ledger of {copy.name}"):
            return work.bring()


def _is_settled(store: Store, copy: ModelCopy) -> bool:
    with translate_store_errors(store.uri, f"read the model {copy.name}"):
        return MOVED_FROM_TAG in store.client.get_registered_model(copy.name).tags


@dataclass
class _Work:
    store: Store
    copy: ModelCopy
    numbers: VersionMap
    fingerprint: str
    mirror: Path
    notes: list[str] = field(default_factory=list)

    def bring(self) -> State:
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
        # The last step: what is not marked is brought again by the next call.
        client.set_registered_model_tag(name, MOVED_FROM_TAG, f"{self.fingerprint}/{name}")
        return State(tuple(aliases.items()), place, len(self.copy.ledger.entries), tuple(self.notes))

    def _ledger(self, tags: Mapping[str, str]) -> LedgerPlace:
        if not self.copy.raw_ledger:
            return "none"
        entries = [key for key in sorted(self.copy.raw_ledger) if key.startswith(ledgers.TAG)]
        theirs = [key for key in tags if key.startswith(ledgers.TAG)]
        begun = all(tags[key] == self.copy.raw_ledger.get(key) for key in theirs)
        if self.numbers.kept and begun:
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
            f"{self.copy.name}: the target has version numbers or a ledger of its own; the source's ledger is kept "
            f"unchanged, with the source's numbers, in the tags {self._aside(ledgers.TAG)}* of the model and in "
            f"{self._mirror_aside()}"
        )
        return "aside"

    def _aside(self, key: str) -> str:
        return f"{ASIDE_TAG}{self.fingerprint}.{key.removeprefix(ledgers.TAG)}"

    def _mirror_aside(self) -> Path:
        return self.mirror.with_name(f"{self.mirror.stem}.moved-{self.fingerprint}{self.mirror.suffix}")

    def _keep_mirror(self, theirs: ledgers.Ledger) -> None:
        """Where this project's copy is of the source's ledger, make it one of the target's."""
        mine = self.copy.ledger.entries
        ledgers.write_mirror(self._mirror_aside(), mine)
        if self.mirror.is_file() and not ledgers.compare_mirror(self.mirror, mine):
            self.mirror.unlink()
        ledgers.write_mirror(self.mirror, theirs.entries)

    def _aliases(self, model: Any, place: LedgerPlace) -> dict[str, str]:
        """Point aliases of the source to their versions, except where the target decides itself."""
        there = {alias: str(number) for alias, number in dict(model.aliases).items()}
        ruled = any(key.startswith(ledgers.TAG) for key in model.tags) and place != "moved"
        done: dict[str, str] = {}
        for alias, old in sorted(self.copy.aliases.items()):
            new = self.numbers.mapping.get(old)
            if new is None:
                self.notes.append(f"{self.copy.name}: the alias {alias} of v{old} was not set: v{old} is not there")
            elif there.get(alias, new) != new:
                self.notes.append(f"{self.copy.name}: {alias} stays at v{there[alias]}; in the source it is v{old}")
            elif ruled and alias in ALIASED and alias not in there:
                self.notes.append(
                    f"{self.copy.name}: {alias} was not set, as the target has a ledger of its own: "
                    f"cryptoml promote v{new} {alias}"
                )
            else:
                if alias not in there:
                    self.store.client.set_registered_model_alias(self.copy.name, alias, new)
                done[alias] = new
        return done

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
