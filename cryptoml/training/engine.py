"""Runs fits in parallel: in threads for few rows, else in worker processes."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self, TypeVar

from cryptoml.errors import UnavailableError
from cryptoml.system.workers import Worker
from cryptoml.training.cache import FitCache
from cryptoml.training.fit_task import FitTask, mapped_rows, run_fit, save_rows
from cryptoml.training.results import Fit, TrainingOptions

if TYPE_CHECKING:
    import numpy as np

Task = TypeVar("Task")
Result = TypeVar("Result")

# With fewer rows, starting processes takes longer than the fits.
PROCESS_ROWS = 10_000


class Engine:
    """Runs fits and other functions, by default one per core.

    With at least PROCESS_ROWS rows they run in worker processes, otherwise fits run in threads and other functions in
    the calling thread. Each fit uses a single thread, so the results depend neither on `options.workers` nor on where
    the fits run.
    """

    def __init__(
        self, features: np.ndarray, target: np.ndarray, options: TrainingOptions, *, cache: FitCache | None = None
    ) -> None:
        self.n_cached_fits = 0
        self._features, self._target, self._options, self._cache = features, target, options, cache
        self._n_workers = options.workers or default_workers()
        self._workers = [Worker() for _ in range(self._n_workers)] if len(target) >= PROCESS_ROWS else []
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        if self._workers:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cryptoml-")))
            save_rows(self._folder, self._features, self._target)
            self._threads = ThreadPoolExecutor(len(self._workers), thread_name_prefix="call")
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._workers:
            for worker in self._workers:
                worker.close()
            self._threads.shutdown(wait=False, cancel_futures=True)
        self._stack.close()
        if self._cache:
            self._cache.trim()

    def run_fits(self, tasks: Sequence[FitTask]) -> Iterator[tuple[FitTask, Fit | Exception]]:
        """Yield (task, fit or exception): fits from the cache first, the others in the order of completion."""
        missing = []
        for task in tasks:
            kept = self._cache.load(self._options, task) if self._cache else None
            if kept is None:
                missing.append(task)
            else:
                self.n_cached_fits += 1
                yield task, kept
        if not self._workers:
            work = partial(_fit, self._features, self._target, self._options, self._cache)
            yield from run_tasks(missing, work, workers=self._n_workers)
            return
        call = partial(self._call, _fit_saved_rows, self._folder, self._options, self._cache)
        for task, outcome in run_tasks(missing, call, workers=self._n_workers):
            # Unpickled here, because it imports libraries, which must not happen in several threads.
            yield task, outcome if isinstance(outcome, Exception) else pickle.loads(outcome)  # noqa: S301

    def submit(self, function: Callable[..., None], *arguments: object) -> Future[object]:
        """Call a module-level function without a result; the returned future has its exception."""
        if self._workers:
            return self._threads.submit(self._call, function, *arguments)
        done: Future[object] = Future()
        function(*arguments)
        done.set_result(None)
        return done

    def _call(self, function: Callable[..., object], *arguments: object) -> bytes:
        worker = self._idle.get()
        try:
            return worker.call(function, *arguments)
        except UnavailableError:
            # The process was killed; try once more in a new one.
            return worker.call(function, *arguments)
        finally:
            self._idle.put(worker)


def _fit(
    features: np.ndarray, target: np.ndarray, options: TrainingOptions, cache: FitCache | None, task: FitTask
) -> Fit:
    fit = run_fit(features, target, options, task)
    if cache:
        cache.save(options, task, fit)
    return fit


def _fit_saved_rows(folder: Path, options: TrainingOptions, cache: FitCache | None, task: FitTask) -> Fit:
    return _fit(*mapped_rows(folder), options, cache, task)


def run_tasks(
    tasks: Sequence[Task], work: Callable[[Task], Result], *, workers: int | None = None
) -> Iterator[tuple[Task, Result | Exception]]:
    """Yield (task, result or exception) in the order of completion; by default with one thread per core."""
    from threadpoolctl import threadpool_limits

    def limit() -> None:
        # OpenMP has a limit per thread, BLAS a limit per process; both are set.
        threadpool_limits(limits=1)

    with threadpool_limits(limits=1):
        pool = ThreadPoolExecutor(workers or default_workers(), thread_name_prefix="fit", initializer=limit)
        try:
            futures = {pool.submit(work, task): task for task in tasks}
            for future in as_completed(futures):
                error = future.exception()
                if error is None:
                    yield futures[future], future.result()
                elif isinstance(error, Exception):
                    yield futures[future], error
                else:
                    raise error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
