"""Deliver the pending runs in the journal: undelivered ones and those of interrupted processes."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cryptoml import events
from cryptoml.errors import CryptomlError, UnavailableError
from cryptoml.settings import Settings

# Retry period for an unavailable store, and pause between two attempts.
RETRY_S = 12.0
PAUSE_S = 3.0


@dataclass(frozen=True)
class Synced:
    """A delivered run. is_new: created in the store by this delivery. versions: (model name, version) pairs."""

    run_name: str
    run_id: str
    status: str
    is_new: bool
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SyncResult:
    """Delivered runs, the number of runs still pending (left), and the first error that prevented a delivery."""

    tracking_uri: str
    delivered: tuple[Synced, ...]
    left: int
    error: CryptomlError | None


def sync(settings: Settings, *, into: str | None = None, on_event: events.OnEvent = events.ignore) -> SyncResult:
    """Deliver all pending runs without creating duplicates. Raise CryptomlError if the store cannot be opened.

    into: experiment for runs that are not in the store yet, for example because their experiment was deleted.

    An unavailable store is retried for RETRY_S. If the journal is empty, the store is opened only to migrate an
    outdated local database.
    """
    from cryptoml.registry.registrar import registrar
    from cryptoml.tracking.journal.deliver import deliver_pending
    from cryptoml.tracking.store.errors import masked
    from cryptoml.tracking.store.project_store import DELIVER, has_outdated_database, open_project_store
    from cryptoml.tracking.tracker import project_journal

    journal = project_journal(settings)
    uri = masked(settings.mlflow_uri())
    if not journal.pending() and not has_outdated_database(settings):
        return SyncResult(uri, (), 0, None)
    delivered: dict[str, Synced] = {}
    with open_project_store(settings, DELIVER, retry_s=RETRY_S, on_event=on_event) as store:
        until = time.monotonic() + RETRY_S
        while True:
            report = deliver_pending(
                journal, store, register=registrar(store, on_event), experiment=into, on_event=on_event
            )
            for run in report.delivered:
                delivered.setdefault(
                    run.run_id, Synced(run.run_name, run.run_id, run.status, run.created, run.versions)
                )
            if not isinstance(report.error, UnavailableError) or time.monotonic() + PAUSE_S > until:
                break
            time.sleep(PAUSE_S)
    return SyncResult(uri, tuple(delivered.values()), len(report.left), report.error)
