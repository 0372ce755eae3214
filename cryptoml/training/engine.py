"""Runs fit tasks in parallel threads."""

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
    """Yield (task, result or exception) in the order of completion; by default with one worker per core.

    The tasks run in threads: fits release the GIL in native code, share the features without copies and start
    immediately. Each fit is single-threaded, so the results do not depend on `workers`.
    """
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
