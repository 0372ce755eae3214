"""Runs the fits of one data set in a pool of workers, and keeps them in the cache."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from cryptoml.training.cache import FitCache
from cryptoml.training.fit_task import FitTask, run_fit
from cryptoml.training.results import Fit, TrainingOptions

if TYPE_CHECKING:
    from cryptoml.training.pools import Pool, Rows


class Engine:
    """Runs fits of the rows of one data set, and other functions, in a pool that data sets may share."""

    def __init__(self, pool: Pool, rows: Rows, options: TrainingOptions, *, cache: FitCache | None = None) -> None:
        self.n_cached_fits = 0
        self._pool, self._rows, self._options, self._cache = pool, rows, options, cache
        self._cached: dict[Future[object], Fit] = {}
        self._unsaved: dict[Future[object], FitTask] = {}

    def start_fit(self, task: FitTask) -> Future[object]:
        """Start a fit, or take it from the cache; `fit_of` returns it when the future is done."""
        kept = self._cache.load(self._options, task) if self._cache else None
        if kept is None:
            cache = self._cache if self._pool.shares_files else None
            future = self._pool.submit(_fit, self._rows, self._options, cache, task)
            if not self._pool.shares_files:
                self._unsaved[future] = task
            return future
        self.n_cached_fits += 1
        done: Future[object] = Future()
        done.set_result(None)
        self._cached[done] = kept
        return done

    def fit_of(self, future: Future[object]) -> Fit | Exception:
        """Return the fit of a future that is done, or the exception that it failed with."""
        if future in self._cached:
            return self._cached.pop(future)
        try:
            fit = self._pool.result(future)
        except Exception as error:  # noqa: BLE001 - the failure of one model
            return error
        assert isinstance(fit, Fit)
        task = self._unsaved.pop(future, None)
        if self._cache and task:
            self._cache.save(self._options, task, fit)
        return fit

    def submit(self, function: Callable[..., None], *arguments: object) -> Future[object]:
        """Call a module-level function without a result; the returned future has its exception."""
        return self._pool.submit_plot(function, *arguments)


def _fit(rows: Rows, options: TrainingOptions, cache: FitCache | None, task: FitTask) -> Fit:
    fit = run_fit(*rows.arrays(), options, task)
    if cache:
        cache.save(options, task, fit)
    return fit
