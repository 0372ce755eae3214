"""Pools of workers that run fits: threads of this process, or worker processes."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from cryptoml.errors import UnavailableError
from cryptoml.system.workers import Worker

if TYPE_CHECKING:
    import numpy as np

# With fewer rows, starting processes takes longer than the fits.
PROCESS_ROWS = 10_000


class Rows(Protocol):
    """The rows of a data set as a worker finds them."""

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return features (rows, features; float32, no NaN) and target (log returns, one per row)."""
        ...


class Pool(Protocol):
    """Workers that run functions; a context manager. A pool may be shared by several data sets."""

    n_workers: int
    # Whether the workers can write to the folders of this process.
    shares_files: bool

    def shared(self, features: np.ndarray, target: np.ndarray) -> AbstractContextManager[Rows]:
        """Make the rows of a data set available to the workers, until the context ends."""
        ...

    def submit(self, function: Callable[..., object], *arguments: object) -> Future[object]:
        """Run a module-level function in a worker; functions start in the order of the calls."""
        ...

    def submit_plot(self, function: Callable[..., None], *arguments: object) -> Future[object]:
        """Run a function that must not run in two threads at once."""
        ...

    def result(self, future: Future[object]) -> object:
        """Return the result of a finished future, or raise its exception; only in the thread that owns the pool."""
        ...


@dataclass(frozen=True)
class ArrayRows:
    """Rows in memory."""

    features: np.ndarray
    target: np.ndarray

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return features and target."""
        return self.features, self.target


@dataclass(frozen=True)
class SavedRows:
    """Rows in the files of a folder, which all processes share in memory."""

    folder: Path

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return features and target, mapped from the files."""
        return _mapped(self.folder)


@lru_cache(maxsize=2)
def _mapped(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    return np.load(folder / "features.npy", mmap_mode="r"), np.load(folder / "target.npy", mmap_mode="r")


class ThreadPool:
    """Runs functions in threads of this process, each with a single thread for its own calculations."""

    shares_files = True

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers

    def __enter__(self) -> Self:
        from threadpoolctl import threadpool_limits

        def limit() -> None:
            # OpenMP has a limit per thread, BLAS a limit per process; both are set.
            threadpool_limits(limits=1)

        self._limits = threadpool_limits(limits=1)
        self._threads = ThreadPoolExecutor(self.n_workers, thread_name_prefix="fit", initializer=limit)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._limits.restore_original_limits()

    @contextmanager
    def shared(self, features: np.ndarray, target: np.ndarray) -> Iterator[Rows]:
        """Yield the arrays themselves."""
        yield ArrayRows(features, target)

    def submit(self, function: Callable[..., object], *arguments: object) -> Future[object]:
        """Run a function in a thread."""
        return self._threads.submit(function, *arguments)

    def submit_plot(self, function: Callable[..., None], *arguments: object) -> Future[object]:
        """Run a function in the calling thread."""
        done: Future[object] = Future()
        function(*arguments)
        done.set_result(None)
        return done

    def result(self, future: Future[object]) -> object:
        """Return the result."""
        return future.result()


class ProcessPool:
    """Runs functions in worker processes; a process that was killed is replaced, and its function runs once more."""

    shares_files = True

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self._workers = [Worker() for _ in range(n_workers)]
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Self:
        self._threads = ThreadPoolExecutor(self.n_workers, thread_name_prefix="call")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def shared(self, features: np.ndarray, target: np.ndarray) -> Iterator[Rows]:
        """Save the rows in a temporary folder."""
        import numpy as np

        with tempfile.TemporaryDirectory(prefix="cryptoml-", ignore_cleanup_errors=True) as folder:
            np.save(Path(folder, "features.npy"), features)
            np.save(Path(folder, "target.npy"), target)
            yield SavedRows(Path(folder))

    def submit(self, function: Callable[..., object], *arguments: object) -> Future[object]:
        """Run a function in a process."""
        return self._threads.submit(self._call, function, *arguments)

    def submit_plot(self, function: Callable[..., None], *arguments: object) -> Future[object]:
        """Run a function in a process."""
        return self.submit(function, *arguments)

    def result(self, future: Future[object]) -> object:
        """Return the result; unpickling imports libraries, which must not happen in several threads."""
        packed = future.result()
        assert isinstance(packed, bytes)
        return pickle.loads(packed)  # noqa: S301

    def _call(self, function: Callable[..., object], *arguments: object) -> bytes:
        worker = self._idle.get()
        try:
            return worker.call(function, *arguments)
        except UnavailableError:
            # The process was killed; try once more in a new one.
            return worker.call(function, *arguments)
        finally:
            self._idle.put(worker)


def local_pool(n_rows: int, *, workers: int | None = None) -> AbstractContextManager[Pool]:
    """Return a pool of this machine for `n_rows` rows, by default with one worker per core.

    Each fit uses a single thread, so the digits depend neither on the number of workers nor on the kind of pool.
    """
    n_workers = workers or default_workers()
    return ProcessPool(n_workers) if n_rows >= PROCESS_ROWS else ThreadPool(n_workers)


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
