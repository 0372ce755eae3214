"""Runs fits on the workers of a Dask cluster."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cryptoml.errors import ConfigError, UnavailableError
from cryptoml.training.cache import code_hash
from cryptoml.training.pools import ArrayRows, ProcessPool, Rows, default_workers

if TYPE_CHECKING:
    import numpy as np

CONNECT_TIMEOUT_S = 5.0
# How long fits wait while no worker is connected.
NO_WORKER_S = 30.0
WATCH_S = 1.0
SCHEMES = ("tcp://", "tls://", "ucx://", "ws://", "wss://")


class DaskPool:
    """Workers of an existing Dask scheduler; other functions run in worker processes of this machine.

    The rows of a data set are sent to each worker once. Dask repeats the fits of a worker that is lost. If the
    scheduler is lost, or all workers are, fits raise UnavailableError.
    """

    # The workers may be other machines.
    shares_files = False

    def __init__(self, address: str) -> None:
        self.address = address
        self.n_workers = 1
        self._lost = ""
        self._pending: set[Future[object]] = set()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._client = connect(self.address)
        try:
            self.n_workers = sum(self._client.nthreads().values())
            if not self.n_workers:
                raise UnavailableError(
                    f"{self.address}: the Dask scheduler has no workers.", hint=f"dask worker {self.address}"
                )
            self._check_code()
            self._executor = self._client.get_executor(pure=False)
            self._local = ProcessPool(default_workers()).__enter__()
        except BaseException:
            self._client.close(timeout=1)
            raise
        threading.Thread(target=self._watch, name="dask-watch", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._local.__exit__(kind, error, trace)
        # Dask raises errors of many types if the scheduler has ended.
        with suppress(Exception):
            self._executor.shutdown(wait=False)
        with suppress(Exception):
            self._client.close(timeout=1)

    @contextmanager
    def shared(self, features: np.ndarray, target: np.ndarray) -> Iterator[Rows]:
        """Send the rows to each worker."""
        try:
            rows = self._client.scatter(ArrayRows(features, target), broadcast=True, hash=False)
        except Exception as error:  # Dask raises errors of many types for a lost connection; they are translated
            raise self._unavailable(str(error)) from error
        try:
            yield rows
        finally:
            with suppress(Exception):
                rows.release()

    def submit(self, function: Callable[..., object], *arguments: object) -> Future[object]:
        """Run a function on a worker; rows among the arguments are those that the worker has."""
        future: Future[object] = self._executor.submit(single_threaded, function, *arguments)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def submit_plot(self, function: Callable[..., None], *arguments: object) -> Future[object]:
        """Run a function in a process of this machine."""
        return self._local.submit_plot(function, *arguments)

    def result(self, future: Future[object]) -> object:
        """Return the result; raises UnavailableError if the scheduler or the workers are lost."""
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except (CancelledError, KilledWorker, OSError) as error:
            raise self._unavailable(self._lost or str(error) or "the fit was cancelled") from error

    def _check_code(self) -> None:
        """Raise UnavailableError for workers with another version of cryptoml or its libraries."""
        expected = code_hash()
        try:
            found = self._client.run(code_hash, on_error="return")
        except Exception as error:  # Dask raises errors of many types for a lost connection; they are translated
            raise self._unavailable(str(error)) from error
        for worker, digest in sorted(found.items()):
            if isinstance(digest, Exception):
                raise UnavailableError(
                    f"{worker}: the Dask worker cannot import cryptoml: {digest}",
                    hint="install cryptoml and its models on the workers, in the same versions",
                )
            if digest != expected:
                raise UnavailableError(
                    f"{worker}: the Dask worker has another version of cryptoml or of a numerical library.",
                    hint="install the same versions on all machines; otherwise the digits may differ",
                )

    def _watch(self) -> None:
        """Cancel the fits when the scheduler is lost, or all workers for longer than NO_WORKER_S."""
        last_seen = time.monotonic()
        while not self._ended.wait(WATCH_S):
            try:
                if self._client.status != "running":
                    self._lose("the connection to the scheduler was lost")
                elif self._client.nthreads():
                    last_seen = time.monotonic()
                elif time.monotonic() - last_seen > NO_WORKER_S:
                    self._lose(f"no worker has been connected for {NO_WORKER_S:g} s")
            except Exception:  # noqa: BLE001 - Dask raises errors of many types for a lost connection
                self._lose("the connection to the scheduler was lost")

    def _lose(self, reason: str) -> None:
        self._lost = reason
        for future in list(self._pending):
            future.cancel()

    def _unavailable(self, reason: str) -> UnavailableError:
        return UnavailableError(
            f"{self.address}: {reason.rstrip('.')}.", hint="start it again, or train here with --engine local"
        )


def connect(address: str) -> Any:
    """Return the client of a scheduler. Raises ConfigError for an address of another form, or without the package."""
    if not address.startswith(SCHEMES):
        raise ConfigError(
            f"{address or 'no address'}: a Dask scheduler is needed.", hint="--dask-address tcp://HOST:8786"
        )
    if importlib.util.find_spec("distributed") is None:
        raise ConfigError("distributed is not installed.", hint="pip install 'cryptoml[dask]'")
    import distributed

    try:
        return distributed.Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise UnavailableError(
            f"{address}: the Dask scheduler does not answer: {str(error).splitlines()[0] or type(error).__name__}",
            hint="dask scheduler, or train here with --engine local",
        ) from error


def single_threaded(function: Callable[..., object], *arguments: object) -> object:
    """Call a function with one native thread, as the other pools do."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return function(*arguments)
