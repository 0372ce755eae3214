"""Deliver what waits in the journal: runs that a store did not take, and runs whose process died."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cryptoml import events
from cryptoml.errors import CryptomlError, UnavailableError
from cryptoml.settings import Settings

# How long a store that is away is tried again, and the pause between two deliveries.
RETRY_S = 12.0
PAUSE_S = 3.0


@dataclass(frozen=True)
class Synced:
    """run_name, status, and whether it was new in the store."""

    run_name: str
    run_id: str
    status: str
    is_new: bool
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SyncResult:
    """What was delivered, how many runs are left, and the first error that kept one back."""

    tracking_uri: str
    delivered: tuple[Synced, ...]
    left: int
    error: CryptomlError | None


def sync(settings: Settings, *, into: str | None = None, on_event: events.OnEvent = events.ignore) -> SyncResult:
    """Deliver all pending runs, doubling nothing; raises CryptomlError when the store cannot be opened.

    into: the experiment for runs that the store does not have yet, where theirs was deleted, say.

    An unavailable store is tried again for RETRY_S. With an empty journal only an outdated local database is
    opened, to be migrated.
    """
    from cryptoml.registry.versions import registrar
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
            report = deliver_pending(journal, store, register=registrar(store), experiment=into, on_event=on_event)
            for one in report.delivered:
                delivered.setdefault(
                    one.run_id, Synced(one.run_name, one.run_id, one.status, one.created, one.versions)
                )
            if not isinstance(report.error, UnavailableError) or time.monotonic() + PAUSE_S > until:
                break
            time.sleep(PAUSE_S)
    return SyncResult(uri, tuple(delivered.values()), len(report.left), report.error)
