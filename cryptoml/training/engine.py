"""Runs fit tasks side by side and hands back each result as it is ready."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    tasks: Sequence[Task], work: Callable[[Task], Result], *, workers: int | None = None
) -> Iterator[tuple[Task, Result | Exception]]:
    """Yield (task, result or the exception it raised) in the order of completion.

    Threads, not processes: the fits spend their time in native code that lets go of Python's lock, share the
    features without copies, and start at once. Each fit is single-threaded inside, so the digits are the same
    whatever `workers` is (one a core by default).
    """
    from threadpoolctl import threadpool_limits

    def limit() -> None:
        # OpenMP keeps its limit per thread, BLAS one for the process: both are set.
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
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
