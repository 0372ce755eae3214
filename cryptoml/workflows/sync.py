"""Deliver what waits in the journal: runs that a store did not take, and runs whose process died."""

from __future__ import annotations

from dataclasses import dataclass

from cryptoml import events
from cryptoml.errors import CryptomlError
from cryptoml.settings import Settings


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


def sync(settings: Settings, *, on_event: events.OnEvent = events.ignore) -> SyncResult:
    """Deliver all pending runs, doubling nothing; raises CryptomlError when the store cannot be opened."""
    from cryptoml.registry.versions import registrar
    from cryptoml.tracking.deliver import deliver_pending
    from cryptoml.tracking.translate import masked
    from cryptoml.workflows.tracker import journal_of, open_project_store

    journal = journal_of(settings)
    if not journal.pending():
        return SyncResult(masked(settings.mlflow_uri()), (), 0, None)
    with open_project_store(settings, on_event=on_event) as store:
        report = deliver_pending(journal, store, register=registrar(store), on_event=on_event)
    done = tuple(Synced(one.run_name, one.run_id, one.status, one.created, one.versions) for one in report.delivered)
    return SyncResult(store.address, done, len(report.left), report.error)
