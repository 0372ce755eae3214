"""Deliver runs from the journal to the store. Repeating or resuming a delivery creates no duplicates."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.errors import AccessError, CryptomlError, DataError, UnavailableError
from cryptoml.system.files import locked
from cryptoml.tracking import run_names
from cryptoml.tracking.journal.duplicate_runs import RUN_KEY_TAG, close_duplicates, runs_of_key
from cryptoml.tracking.journal.entries import Delivery, JournalEntry
from cryptoml.tracking.journal.journal import Journal
from cryptoml.tracking.journal.process import has_exited
from cryptoml.tracking.journal.records import Registration, RunRecord
from cryptoml.tracking.journal.replay import Replay
from cryptoml.tracking.runs import highest_run_number
from cryptoml.tracking.store import limits
from cryptoml.tracking.store.bucket_errors import OF_ONE_EXPERIMENT
from cryptoml.tracking.store.errors import WrongServerError, is_missing, not_mlflow_error, translate_store_errors
from cryptoml.tracking.store.lost_responses import send_once

if TYPE_CHECKING:
    from mlflow.entities import Run

    from cryptoml.tracking.store.store import Store

Register = Callable[[str, Registration], tuple[str, str]]
"""Puts a delivered run (its id) into the registry and returns name and version; running it twice makes one version."""


@dataclass(frozen=True)
class Delivered:
    """A run that is in the store. `created` is False when an earlier attempt had made it."""

    run_id: str
    run_name: str
    run_key: str
    status: str
    created: bool
    versions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class DeliveryReport:
    """What `deliver_pending` achieved; `error` is what the first run that stayed behind met."""

    delivered: tuple[Delivered, ...]
    left: tuple[JournalEntry, ...]
    error: CryptomlError | None


def deliver(
    entry: JournalEntry,
    store: Store,
    *,
    register: Register | None = None,
    experiment: str | None = None,
    on_event: events.OnEvent = events.ignore,
) -> Delivered:
    """Deliver one run's journal to `store`, mark it delivered and remove its staged artifacts.

    experiment: the experiment for a run that is not in the store yet; default: the one in the journal.

    An unfinished run of an exited process becomes KILLED if the process received a signal, else FAILED; with a
    running process it stays RUNNING. Without `register`, a requested registration keeps the journal pending.
    """
    with locked(entry.lock):
        record, size = _read(entry, experiment)
        past = entry.delivery()
        if past and past.run_id and entry.is_delivered():
            _clear(entry)
            return _delivered(past.run_id, record, status_of(entry, record), False, past)
        if record.damaged_lines:
            on_event(
                events.Warned(f"{record.run_name}: {record.damaged_lines} damaged line(s) of its journal are left out.")
            )
        here = past if past and past.store in (store.address, store.uri) else None
        run = _find(store, record, here) if past else None
        if run is None:
            # From here on the run may be in the store, whatever becomes of this process.
            entry.mark(Delivery(store.address))
            made, settled = _create(store, record), None
        else:
            made, settled = run, here.size if here else -1
        mark = Delivery(
            store.address, made.info.run_id, versions=here.versions if here else (), run_name=made.info.run_name
        )
        entry.mark(mark)
        if made.info.lifecycle_stage == "deleted":
            on_event(events.Warned(f"{record.run_name} was deleted in the store; nothing is written to it."))
            entry.mark(replace(mark, size=size))
            _clear(entry)
            return _delivered(made.info.run_id, record, "DELETED", False, mark)
        status = status_of(entry, record)
        with translate_store_errors(store.uri, f"deliver {record.run_name}"):
            found = Replay(entry, store, record, on_event).write(made, status, settled=settled)
        if status != "RUNNING":
            _close_duplicates(store, made, found, record, on_event)
        wishes = record.registrations if status == "FINISHED" else ()
        if register:
            mark = _register_all(entry, mark, made.info.run_id, wishes, register)
        if status != "RUNNING" and (register or not wishes):
            mark = replace(mark, size=size)
            entry.mark(mark)
            # A registration that was asked for meanwhile still needs the staged model.
            if entry.is_delivered():
                _clear(entry)
        return _delivered(made.info.run_id, record, status, settled is None, mark)


def _read(entry: JournalEntry, experiment: str | None) -> tuple[RunRecord, int]:
    """What the journal records, and its size in bytes; raises DataError where its first lines are damaged."""
    record, size = entry.read()
    if record is None:
        raise DataError(f"{entry.path}: the journal has no whole beginning; there is nothing to deliver.")
    return record if experiment is None else replace(record, experiment=experiment), size


def _register_all(
    entry: JournalEntry, mark: Delivery, run_id: str, wishes: Sequence[Registration], register: Register
) -> Delivery:
    """Register the run's model as often as the journal asks for it; the delivery mark with all versions."""
    for wish in wishes:
        version = register(run_id, wish)
        if version not in mark.versions:
            mark = replace(mark, versions=(*mark.versions, version))
            entry.mark(mark)
    return mark


def deliver_pending(
    journal: Journal,
    store: Store,
    *,
    orphans_only: bool = False,
    register: Register | None = None,
    experiment: str | None = None,
    on_event: events.OnEvent = events.ignore,
) -> DeliveryReport:
    """Deliver all pending runs, oldest first. An error of one run does not stop the others; an unavailable store does.

    orphans_only: skip the runs of running processes. experiment: as in `deliver`.
    """
    waiting = journal.orphaned() if orphans_only else journal.pending()
    done: list[Delivered] = []
    left: list[JournalEntry] = []
    first_error: CryptomlError | None = None
    for place, entry in enumerate(waiting):
        try:
            done.append(deliver(entry, store, register=register, experiment=experiment, on_event=on_event))
        except CryptomlError as error:
            first_error = first_error or error
            left.append(entry)
            of_all = isinstance(error, (UnavailableError, AccessError, WrongServerError))
            if of_all and not isinstance(error, OF_ONE_EXPERIMENT):
                left.extend(waiting[place + 1 :])
                break
            on_event(events.Warned(f"a run stays in the journal: {error.fact}"))
    return DeliveryReport(tuple(done), tuple(left), first_error)


def status_of(entry: JournalEntry, record: RunRecord) -> str:
    """The status that the run has in the store: its end's, RUNNING, or what its process left it as."""
    if record.status:
        return record.status
    if not has_exited(record.process, idle_s=entry.idle_s()):
        return "RUNNING"
    return "KILLED" if record.stop_signal is not None else "FAILED"


def _find(store: Store, record: RunRecord, here: Delivery | None) -> Run | None:
    """The run that an earlier attempt made in this store, or None."""
    from mlflow.exceptions import MlflowException

    if here and here.run_id:
        with translate_store_errors(store.uri, f"look for {record.run_name}"):
            try:
                run = store.client.get_run(here.run_id)
            except MlflowException as error:
                if not is_missing(error):
                    raise
            else:
                if run.info.run_id != here.run_id:
                    raise not_mlflow_error(store.uri, f"look for {record.run_name}")
                return run
    experiment = store.experiment_id(record.experiment)
    with translate_store_errors(store.uri, f"look for {record.run_name}"):
        return _first(runs_of_key(store, experiment, record.run_key))


def _first(runs: Sequence[Run]) -> Run | None:
    return runs[0] if runs else None


def _create(store: Store, record: RunRecord) -> Run:
    experiment = store.experiment_id(record.experiment)
    tags = {RUN_KEY_TAG: record.run_key, "mlflow.source.name": "cryptoml", "mlflow.source.type": "LOCAL"}
    for ours, theirs in (("author", "mlflow.user"), ("git_commit", "mlflow.source.git.commit")):
        if record.tags.get(ours):
            tags[theirs] = record.tags[ours][: limits.TAG_LENGTH]
    with translate_store_errors(store.uri, f"create {record.run_name}"):
        name = _free_name(store, record, experiment)
        return send_once(
            store,
            lambda: store.client.create_run(experiment, start_time=record.start_time_ms, tags=tags, run_name=name),
            lambda: _first(runs_of_key(store, experiment, record.run_key)),
            valid=lambda run: bool(run.info.run_id),
        )


def _close_duplicates(
    store: Store, run: Run, found: Sequence[Run], record: RunRecord, on_event: events.OnEvent
) -> None:
    """Close those of `found` that a lost answer, a repeating proxy or an older cryptoml made beside `run`."""
    extras = [one for one in found if one.info.run_id != run.info.run_id]
    active = [one for one in extras if one.info.lifecycle_stage != "deleted"]
    if close_duplicates(store, active, kept_id=run.info.run_id):
        on_event(events.Warned(f"{record.run_name} was in the store {len(active) + 1} times; the others were deleted."))


def _free_name(store: Store, record: RunRecord, experiment_id: str) -> str:
    """The run's name, or the next number where another journal's run in the same store has it."""
    parts = run_names.split_run_name(record.run_name)
    query = f"attributes.run_name = '{record.run_name}'"
    if parts is None or not store.client.search_runs([experiment_id], query, max_results=1):
        return record.run_name
    return run_names.run_name(*parts, highest_run_number(store, record.experiment, *parts) + 1)


def _delivered(run_id: str, record: RunRecord, status: str, created: bool, mark: Delivery) -> Delivered:
    return Delivered(run_id, mark.run_name or record.run_name, record.run_key, status, created, mark.versions)


def _clear(entry: JournalEntry) -> None:
    # What cannot be removed now is removed by the next delivery; the run itself is safe.
    with suppress(OSError):
        if entry.staging.exists():
            shutil.rmtree(entry.staging)
