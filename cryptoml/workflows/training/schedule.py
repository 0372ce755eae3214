"""Calls in progress, and what follows each of them in the calling thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait


class Schedule:
    """Futures of several trainings, each with a function that takes it when it is done."""

    def __init__(self) -> None:
        self._next: dict[Future[object], Callable[[Future[object]], None]] = {}

    def __len__(self) -> int:
        """Return the number of calls in progress."""
        return len(self._next)

    def add(self, future: Future[object], then: Callable[[Future[object]], None]) -> None:
        """Call `then(future)` from `run_next` when the future is done."""
        self._next[future] = then

    def run_next(self) -> None:
        """Wait until a call is done, and run what follows the calls that are done."""
        done, _ = wait(self._next, return_when=FIRST_COMPLETED)
        # In the order in which they were added, as `wait` returns a set.
        for future in [future for future in self._next if future in done]:
            then = self._next.pop(future, None)
            if then is not None:
                then(future)

    def drop(self, future: Future[object]) -> None:
        """Forget a call, and cancel it if it has not started."""
        future.cancel()
        self._next.pop(future, None)
