"""Move versions between stages: write the ledger entry, then apply it; the next call completes an interrupted one."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptoml.errors import UnavailableError, UsageError
from cryptoml.evaluation.figures import only_finite
from cryptoml.registry import ledger as ledgers
from cryptoml.registry.ledger import Entry, Ledger
from cryptoml.registry.mutex import registry_lock
from cryptoml.registry.stages import Stage
from cryptoml.registry.version_search import STAGE_TAG, model_or_none
from cryptoml.registry.versions import Version, list_versions
from cryptoml.tracking.store.errors import is_missing, masked, translate_store_errors
from cryptoml.tracking.store.lost_responses import send_once, send_until_clear
from cryptoml.tracking.store.quiet import ignore_stage_warnings
from cryptoml.tracking.store.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

TRANSITION_TAG = "cryptoml.transition"
ALIASED: tuple[Stage, ...] = ("staging", "production")


@dataclass(frozen=True)
class Move:
    """A requested transition, from which the ledger entry is created."""

    version: str
    to_stage: Stage
    reason: str
    who: str
    kind: str = "promotion"
    forced: bool = False
    metrics: Mapping[str, float | str] | None = None
    git_commit: str = ""
    dataset_version: str = ""


def stage_of_version(aliases: Collection[str], tags: Mapping[str, str]) -> Stage:
    """Return the stage of a version from its aliases, which are authoritative, and its tags."""
    for stage in ALIASED:
        if stage in aliases:
            return stage
    return "archived" if tags.get(STAGE_TAG) == "archived" else "none"


class Registry:
    """A registered model with its versions, stages and ledger; use `open_registry` to change it under the lock."""

    def __init__(self, store: Store, model_name: str, mirror: Path) -> None:
        self.store = store
        self.model_name = model_name
        self.mirror = mirror
        model = _model(store, model_name)
        self.ledger = ledgers.read_ledger(dict(model.tags))
        self.aliases = {alias: str(number) for alias, number in dict(model.aliases).items()}
        self.versions = {version.version: version for version in list_versions(store, model_name)}

    def stage_of(self, version: str) -> Stage:
        """Return the stage: that of the alias, which is authoritative, else archived or none by the version's tag."""
        aliases = [alias for alias, number in self.aliases.items() if number == version]
        return stage_of_version(aliases, self.version(version).tags)

    def version(self, number: str) -> Version:
        """Return the version; raise UsageError if it does not exist."""
        if number not in self.versions:
            latest = ", ".join(f"v{number}" for number in sorted(self.versions, key=int)[-5:])
            raise UsageError(
                f"{self.model_name} has no version {number}.",
                hint=f"the latest versions are {latest}"
                if latest
                else "train and register a model first: cryptoml train",
            )
        return self.versions[number]

    def move(self, move: Move) -> Entry:
        """Apply a transition; the previous version is archived from production, or moved from staging to none."""
        previous = self.aliases.get(move.to_stage) if move.to_stage in ALIASED else None
        displaced = None
        if previous is not None and previous != move.version:
            displaced = (previous, "archived" if move.to_stage == "production" else "none")
        entry = self._entry(move, displaced)
        self._write(entry)
        self._apply(entry)
        return entry

    def refuse(self, move: Move) -> Entry:
        """Record a refused transition, with its metrics, in the ledger."""
        entry = self._entry(move, None)
        self._write(entry)
        return entry

    def finish_pending(self) -> Entry | None:
        """Complete an interrupted transition; return its entry."""
        pending = self.ledger.pending
        if pending is not None:
            self._apply(pending)
        return pending

    def _entry(self, move: Move, displaced: tuple[str, str] | None) -> Entry:
        return Entry(
            number=len(self.ledger.entries) + 1,
            previous=self.ledger.head,
            time=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            who=move.who,
            host=socket.gethostname(),
            version=move.version,
            from_stage=self.stage_of(move.version),
            to_stage=move.to_stage,
            reason=move.reason,
            kind=move.kind,
            forced=move.forced,
            displaced=displaced,
            metrics=only_finite(move.metrics or {}),
            git_commit=move.git_commit,
            dataset_version=move.dataset_version,
        )

    def _write(self, entry: Entry) -> None:
        with translate_store_errors(self.store.uri, "write the ledger"):
            self._set_tag(ledgers.tag_name(entry.number), entry.to_json())
        self.ledger = Ledger((*self.ledger.entries, entry), self.ledger.done, self.ledger.faults)
        ledgers.write_mirror(self.mirror, self.ledger.entries)

    def _apply(self, entry: Entry) -> None:
        """Apply the entry in idempotent steps; setting the alias comes first and changes production atomically."""
        client, name = self.store.client, self.model_name
        with translate_store_errors(self.store.uri, f"move version {entry.version} to {entry.to_stage}"):
            if entry.to_stage in ALIASED:
                self._change(
                    lambda: client.set_registered_model_alias(name, entry.to_stage, entry.version),
                    lambda model: str(dict(model.aliases).get(entry.to_stage)) == entry.version,
                )
                self.aliases[entry.to_stage] = entry.version
            for alias in ALIASED:
                if alias != entry.to_stage and self.aliases.get(alias) == entry.version:
                    self._delete_alias(alias)
                    self.aliases.pop(alias)
            if entry.displaced is not None:
                self._update_display(entry.displaced[0], cast("Stage", entry.displaced[1]), entry)
            self._update_display(entry.version, cast("Stage", entry.to_stage), entry)
            self._confirm(entry)
            self._set_tag(ledgers.DONE_TAG, str(entry.number))
        self.ledger = Ledger(self.ledger.entries, entry.number, self.ledger.faults)
        self.versions = {version.version: version for version in list_versions(self.store, name)}

    def _confirm(self, entry: Entry) -> None:
        """Check that the registry has the transition: a status of 200 does not prove that it was stored."""
        if not self.store.is_remote:
            return
        model = _model(self.store, self.model_name)
        aliases = {alias for alias, number in dict(model.aliases).items() if str(number) == entry.version}
        written = dict(model.tags).get(ledgers.tag_name(entry.number)) == entry.to_json()
        if not written or aliases & set(ALIASED) != {entry.to_stage} & set(ALIASED):
            raise UnavailableError(
                f"{masked(self.store.uri)}: version {entry.version} was moved to {entry.to_stage}, but the registry "
                "does not have the change.",
                hint="run the same command again to complete it",
            )

    def _set_tag(self, tag: str, text: str) -> None:
        self._change(
            lambda: self.store.client.set_registered_model_tag(self.model_name, tag, text),
            lambda model: dict(model.tags).get(tag) == text,
        )

    def _delete_alias(self, alias: str) -> None:
        self._change(
            lambda: self.store.client.delete_registered_model_alias(self.model_name, alias),
            lambda model: alias not in dict(model.aliases),
        )

    def _change(self, change: Callable[[], None], is_done: Callable[[RegisteredModel], bool]) -> None:
        """Change the registered model; after a lost response, check whether it was changed before retrying."""

        def send() -> bool:
            change()
            return True

        send_once(self.store, send, lambda: is_done(_model(self.store, self.model_name)) or None)

    def _update_display(self, version: str, stage: Stage, entry: Entry) -> None:
        """Update what the MLflow UI shows: tags, and the stage field if the server has one."""
        if version not in self.versions:
            return
        set_tag = partial(self.store.client.set_model_version_tag, self.model_name, version)
        send_until_clear(self.store, partial(set_tag, STAGE_TAG, stage))
        transition = {
            "from": entry.from_stage,
            "to": stage,
            "reason": entry.reason,
            "who": entry.who,
            "when": entry.time,
        }
        send_until_clear(self.store, partial(set_tag, TRANSITION_TAG, json.dumps(transition)))
        set_stage_field(self.store, self.model_name, version, stage)


def set_stage_field(store: Store, model_name: str, version: str, stage: str) -> None:
    """Set the stage field of a version if the server has one; the alias is authoritative."""
    from mlflow.exceptions import MlflowException

    try:
        with ignore_stage_warnings():
            move = partial(store.client.transition_model_version_stage, model_name, version, stage.capitalize())
            send_until_clear(store, move)
    except MlflowException as error:
        # Servers without stages return 404, 405 or 501.
        if error.get_http_status_code() not in (404, 405, 501) and "unsupported" not in str(error):
            raise
    except AttributeError:
        # The MLflow client has no stages.
        return


@contextmanager
def open_registry(store: Store, model_name: str, mirror: Path) -> Iterator[Registry]:
    """Open the model under the lock and complete an interrupted transition."""
    _model(store, model_name)
    with registry_lock(store, model_name):
        registry = Registry(store, model_name, mirror)
        registry.finish_pending()
        yield registry


def ledger_entries(store: Store, model_name: str) -> tuple[Entry, ...]:
    """Return the readable entries of the ledger, oldest first; empty if there is no such model."""
    with translate_store_errors(store.uri, f"read the model {model_name}"):
        model = model_or_none(store, model_name)
    return ledgers.read_ledger(dict(model.tags)).entries if model is not None else ()


def check_history(store: Store, model_name: str, mirror: Path) -> tuple[Ledger, tuple[str, ...]]:
    """Return the ledger and a sentence for each inconsistency with the registry or mirror; changes nothing."""
    registry = Registry(store, model_name, mirror)
    ledger = registry.ledger
    faults = [*ledger.faults, *ledgers.compare_mirror(mirror, ledger.entries)]
    actual, recorded = registry.aliases.get("production"), ledger.production()
    if ledger.pending is not None:
        faults.append(f"entry {ledger.pending.number} was interrupted; the next promotion completes it")
    elif actual != recorded and ledger.entries:
        names = [f"v{number}" if number else "empty" for number in (actual, recorded)]
        faults.append(f"production is {names[0]}, but {names[1]} in the ledger: it was changed outside cryptoml")
    # A server without stages returns none for all versions.
    has_stages = any(version.stage != "none" for version in registry.versions.values())
    for version in registry.versions.values():
        stage = registry.stage_of(version.version)
        if has_stages and version.stage != stage:
            faults.append(
                f"v{version.version} is in {stage}, but its stage field is {version.stage}: it was changed in the UI"
            )
    return ledger, tuple(faults)


def _model(store: Store, model_name: str) -> RegisteredModel:
    from mlflow.exceptions import MlflowException

    with translate_store_errors(store.uri, f"read the model {model_name}"):
        try:
            return store.client.get_registered_model(model_name)
        except MlflowException as error:
            if is_missing(error):
                raise UsageError(
                    f"{masked(store.uri)}: registered model {model_name} does not exist.",
                    hint="create it with cryptoml train or cryptoml register",
                ) from None
            raise
