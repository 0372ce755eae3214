"""Check the store, open it and deliver runs from the journal in a background thread during training."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as NotDoneError
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cryptoml import events
from cryptoml.errors import CryptomlError, UnavailableError
from cryptoml.settings import Settings
from cryptoml.tracking.journal.journal import Journal, JournalRun
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.project_store import (
    TRAIN,
    check_project_location,
    check_project_store,
    open_project_store,
    request_timeout_s,
)

if TYPE_CHECKING:
    from cryptoml.tracking.journal.deliver import Delivered, Register
    from cryptoml.tracking.store.preflight import ArtifactLocation
    from cryptoml.tracking.store.store import Store

# How long the first fit waits for the store's response, counted from the request.
CHECK_TIMEOUT_S = 5.0
# How often the store is probed during the fits.
PROBE_INTERVAL_S = 15.0
# A store found unavailable less than this long ago is not probed again at the end.
RECENT_PROBE_S = 3.0
TRAINING_CONTINUES = (
    "Training continues; runs stay in the journal and are delivered once the store is available, or by cryptoml sync."
)


def project_journal(settings: Settings) -> Journal:
    """Return the journal of the project."""
    return Journal(settings.project_dir / ".cryptoml" / "journal")


class Tracker:
    """Check and open the store in the background and deliver runs to it, one at a time.

    Runs of interrupted processes are delivered first, while the first models are fitted. If the store is unavailable,
    one warning is reported; the store is probed every PROBE_INTERVAL_S and once more at the end. Undelivered runs
    stay in the journal, and `delivery_error` has the cause. registrar(store, on_event) returns the function that
    registers a run's model.
    """

    def __init__(
        self, settings: Settings, *, registrar: Callable[[Store, events.OnEvent], Register], on_event: events.OnEvent
    ) -> None:
        # Raise configuration errors before any model is fitted.
        settings.check_connected()
        settings.mlflow_credentials()
        self.settings = settings
        self.journal = project_journal(settings)
        self.delivery_error: CryptomlError | None = None
        self._registrar = registrar
        self._on_event = on_event
        self._uri = settings.mlflow_uri()
        self._is_remote = self._uri.startswith(("http://", "https://"))
        if self._is_remote:
            # Import before any timeout starts.
            import requests  # noqa: F401

        self._store: Store | None = None
        self._unavailable: UnavailableError | None = None
        self._unavailable_since = 0.0
        self._refusal: CryptomlError | None = None
        self._warned = False
        self._waiting: dict[str, JournalRun] = {}
        self._refused_runs: set[str] = set()
        self._delivered: dict[str, Delivered] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._check_started = threading.Event()
        self._check_started_at = 0.0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._location: ArtifactLocation | None = None
        self._store_check = self._pool.submit(self._check_store)
        self._location_check = self._pool.submit(self._check_location)
        self._store_open = self._pool.submit(self._open)
        self._tasks: list[Future[None]] = [self._store_open, self._pool.submit(self._deliver_orphans)]
        threading.Thread(target=self._watch, name="store-watch", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._store is not None:
            self._store.close()

    def check(self) -> None:
        """Raise the error that makes delivery impossible; if the store is only unavailable, report a warning.

        A server gets CHECK_TIMEOUT_S to respond. Checks without a server are always awaited: the SQLite file, a
        driver, a bucket's credentials. A database has time limits of its own.
        """
        self._check_started.wait()
        limit_s = max(0.0, self._check_started_at + CHECK_TIMEOUT_S - time.monotonic()) if self._is_remote else None
        try:
            self._store_check.result(timeout=limit_s)
            self._location_check.result()
        except NotDoneError:
            self._warn(f"{masked(self._uri)}: no response within {CHECK_TIMEOUT_S:g} s.")
        if self._refusal is not None:
            raise self._refusal

    def store(self) -> Store | None:
        """Wait for the store and return it; None if it is unavailable or refuses access."""
        wait([self._store_open])
        return self._store if self._unavailable is None else None

    def deliver(self, run: JournalRun) -> None:
        """Queue a run, or records added to it, for delivery."""
        with self._lock:
            self._waiting[run.key] = run
        self._tasks.append(self._pool.submit(self._deliver_waiting))

    def deliver_stopped(self, runs: Sequence[JournalRun], *, within_s: float) -> None:
        """Deliver runs that a signal stopped, within `within_s` seconds; the others stay in the journal."""
        self._ended.set()
        with self._lock:
            self._waiting.clear()
        wait([self._pool.submit(self._deliver, run) for run in runs], timeout=within_s)

    @property
    def undelivered(self) -> set[str]:
        """The keys of runs that wait for delivery or were refused."""
        return {*self._waiting, *self._refused_runs}

    def finish(self) -> dict[str, Delivered]:
        """Wait for all deliveries and try once more; return run key -> delivered run. Others stay in the journal."""
        self._ended.set()
        self._tasks.append(self._pool.submit(self._deliver_last))
        for task in self._tasks:
            # Expected errors were handled in the thread: only a bug is raised here.
            task.result()
        self.delivery_error = (self._refusal or self._unavailable) if self.undelivered else None
        return dict(self._delivered)

    # Methods that run in the store's thread

    def _check_store(self) -> None:
        self._check_started_at = time.monotonic()
        self._check_started.set()
        try:
            self._location = check_project_store(self.settings, on_event=self._on_event)
        except UnavailableError as error:
            self._on_unavailable(error)

    def _check_location(self) -> None:
        try:
            if self._location is not None:
                check_project_location(self.settings, self._location)
        except UnavailableError as error:
            # The store responds: only the artifact location is unavailable.
            self._on_event(events.Warned(f"{error.fact} {TRAINING_CONTINUES}"))

    def _open(self) -> None:
        """Open the store unless its check failed: training then ends, and no file is created."""
        if self._store_check.exception() is None and self._location_check.exception() is None:
            self._connect()

    def _connect(self) -> None:
        """Open the store, or probe it if it is open."""
        try:
            if self._store is None:
                self._store = open_project_store(self.settings, TRAIN, on_event=self._on_event, retry_s=0)
            elif self._is_remote:
                self._probe()
        except UnavailableError as error:
            self._on_unavailable(error)
        except CryptomlError as error:
            self._on_refused(error)
        else:
            if self._warned:
                self._on_event(events.Info(f"{masked(self._uri)}: the tracking store is available again"))
            self._unavailable, self._warned = None, False

    def _probe(self) -> None:
        from cryptoml.tracking.store.server_probe import probe_http

        probe_http(
            self._uri, timeout_s=request_timeout_s(self.settings), credentials=self.settings.mlflow_credentials()
        )

    def _probe_during_fits(self) -> None:
        """Update whether the store is available; deliver waiting runs if it has become available."""
        was_unavailable = self._store is None or self._unavailable is not None
        if self._ended.is_set() or not (was_unavailable or self._is_remote):
            return
        self._connect()
        if was_unavailable and self._is_usable():
            self._deliver_orphans()
            self._deliver_waiting()

    def _deliver_last(self) -> None:
        """Deliver waiting runs; probe an unavailable store once more first."""
        if self._waiting and not self._is_usable() and time.monotonic() - self._unavailable_since > RECENT_PROBE_S:
            self._connect()
        self._deliver_waiting()

    def _deliver_waiting(self) -> None:
        while self._is_usable():
            with self._lock:
                key = next(iter(self._waiting), None)
                run = self._waiting.pop(key) if key is not None else None
            if run is None:
                return
            try:
                self._delivered[run.key] = self._deliver(run)
                self._refused_runs.discard(run.key)
            except UnavailableError as error:
                with self._lock:
                    self._waiting.setdefault(run.key, run)
                self._on_unavailable(error)
            except CryptomlError as error:
                self._refused_runs.add(run.key)
                self._on_refused(error)

    def _deliver(self, run: JournalRun) -> Delivered:
        from cryptoml.tracking.journal.deliver import deliver

        if self._store is None:
            raise UnavailableError(f"{masked(self._uri)}: the store is not open.")
        return deliver(
            run.entry, self._store, register=self._registrar(self._store, self._on_event), on_event=self._on_event
        )

    def _deliver_orphans(self) -> None:
        from cryptoml.tracking.journal.deliver import deliver_pending

        if self._store is None or self._unavailable is not None:
            return
        report = deliver_pending(
            self.journal,
            self._store,
            orphans_only=True,
            register=self._registrar(self._store, self._on_event),
            on_event=self._on_event,
        )
        for run in report.delivered:
            self._on_event(events.Info(f"{run.run_name} of an interrupted training was delivered: {run.status}"))
        if isinstance(report.error, UnavailableError):
            self._on_unavailable(report.error)

    def _is_usable(self) -> bool:
        return self._store is not None and self._unavailable is None

    def _on_unavailable(self, error: UnavailableError) -> None:
        self._unavailable, self._unavailable_since = error, time.monotonic()
        self._warn(error.fact)

    def _on_refused(self, error: CryptomlError) -> None:
        if self._refusal is None:
            self._refusal = error
            self._on_event(events.Warned(f"{error.fact} Runs stay in the journal."))

    # Methods that run in other threads

    def _watch(self) -> None:
        """Probe the store in its thread every PROBE_INTERVAL_S; probes never overlap."""
        while not self._ended.wait(PROBE_INTERVAL_S):
            done = threading.Event()
            try:
                probe = self._pool.submit(self._probe_during_fits)
            except RuntimeError:
                # The pool was shut down meanwhile.
                return
            self._tasks.append(probe)
            probe.add_done_callback(lambda _, done=done: done.set())  # type: ignore[misc]
            done.wait()

    def _warn(self, fact: str) -> None:
        if not self._warned:
            self._warned = True
            self._on_event(events.Warned(f"{fact} {TRAINING_CONTINUES}"))
