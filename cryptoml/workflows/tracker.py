"""The store at work beside a training: opened early, fed from the journal in a thread of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.errors import CryptomlError, UnavailableError
from cryptoml.settings import Settings
from cryptoml.tracking.journal import Journal, JournalRun

if TYPE_CHECKING:
    from cryptoml.tracking.deliver import Delivered
    from cryptoml.tracking.store import Store


def journal_of(settings: Settings) -> Journal:
    """The journal of the project."""
    return Journal(settings.project_dir / ".cryptoml" / "journal")


def open_project_store(settings: Settings) -> Store:
    """The store in use, opened; raises CryptomlError within seconds."""
    from cryptoml.tracking.store import open_store

    settings.check_connected()
    user, password = settings.mlflow_credentials() or (None, None)
    return open_store(settings.mlflow_uri(), timeout_s=settings.store_timeout_s, username=user, password=password)


class Tracker:
    """Opens the store in the background and delivers runs to it, one after the other.

    What processes that died left in the journal goes first, while the first models are fitted.
    A store that is away costs a warning and leaves the runs in the journal; `undelivered` then says why. Other
    faults (wrong credentials, a store that cannot be written) are raised by `check` and by `finish`.
    """

    def __init__(self, settings: Settings, *, on_event: events.OnEvent) -> None:
        # What is refused without asking the store is refused before any model is fitted.
        settings.check_connected()
        settings.mlflow_credentials()
        self.settings = settings
        self.journal = journal_of(settings)
        self.undelivered: str | None = None
        self._on_event = on_event
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._store: Future[Store] = self._pool.submit(open_project_store, settings)
        self._pool.submit(self._deliver_orphans)
        self._deliveries: dict[str, Future[Delivered]] = {}

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._store.done() and not self._store.cancelled() and self._store.exception() is None:
            self._store.result().close()

    def check(self) -> None:
        """Raise what makes the store unusable, if that is known by now; an absent store is only told."""
        if self._store.done():
            self.store()

    def store(self) -> Store | None:
        """The store, waited for; None when it is away."""
        try:
            return self._store.result()
        except UnavailableError as error:
            if self.undelivered is None:
                self.undelivered = error.fact
                self._on_event(
                    events.Warned(f"{error.fact} The runs stay in the journal; cryptoml sync delivers them.")
                )
            return None

    def deliver(self, run: JournalRun) -> None:
        """Deliver a run, or what was added to it, when its turn comes."""
        self._deliveries[run.key] = self._pool.submit(self._deliver, run)

    def _deliver(self, run: JournalRun) -> Delivered:
        from cryptoml.registry.versions import registrar
        from cryptoml.tracking.deliver import deliver

        store = self._store.result()
        return deliver(run.entry, store, register=registrar(store), on_event=self._on_event)

    def deliver_stopped(self, runs: Sequence[JournalRun], *, within_s: float) -> None:
        """Deliver runs that a signal ended, if there is time; what is not done in time waits in the journal."""
        for waiting in self._deliveries.values():
            waiting.cancel()
        wait([self._pool.submit(self._deliver, run) for run in runs], timeout=within_s)

    def _deliver_orphans(self) -> None:
        from cryptoml.registry.versions import registrar
        from cryptoml.tracking.deliver import deliver_pending

        store = self._store.result()
        report = deliver_pending(
            self.journal, store, orphans_only=True, register=registrar(store), on_event=self._on_event
        )
        for run in report.delivered:
            self._on_event(events.Info(f"{run.run_name}, left by an earlier training, was delivered: {run.status}"))

    def finish(self) -> dict[str, Delivered]:
        """Wait for all deliveries; run key -> what was delivered. Runs that were not stay in the journal."""
        delivered: dict[str, Delivered] = {}
        if self.store() is None:
            return delivered
        for key, future in self._deliveries.items():
            try:
                delivered[key] = future.result()
            except CryptomlError as error:
                if self.undelivered is None:
                    self.undelivered = error.fact
                    self._on_event(events.Warned(error.fact))
        return delivered
