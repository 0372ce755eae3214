"""Significance tests between forecasts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Word = Literal["beats", "ties", "worse"]


@dataclass(frozen=True)
class DieboldMariano:
    """A negative statistic favours the first forecast. p_value: two-sided; n: number of forecasts."""

    statistic: float
    p_value: float
    n: int


@dataclass(frozen=True)
class Verdict:
    """The verdict of the test of a model against persistence.

    p_adjusted: p_value, adjusted for the number of models among which one is chosen; `word` is decided by it.
    """

    word: Word
    p_value: float
    statistic: float
    p_adjusted: float


def diebold_mariano(loss: NDArray[np.float64], other_loss: NDArray[np.float64], horizon: int) -> DieboldMariano:
    """Test two forecasts of the same outcomes, in time order, for equal expected loss.

    Diebold and Mariano (1995) with the rectangular kernel up to lag horizon - 1, the small-sample correction and the t
    distribution with n - 1 degrees of freedom of Harvey, Leybourne and Newbold (1997). If the kernel estimate of the
    variance is not positive, the variance at lag 0 is used. Equal losses give statistic 0 and p 1.
    """
    import numpy as np
    from scipy.stats import t as student_t

    difference = np.asarray(loss, dtype=np.float64) - np.asarray(other_loss, dtype=np.float64)
    n = len(difference)
    mean = float(np.mean(difference)) if n else 0.0
    centred = difference - mean
    at_zero = float(np.sum(centred * centred)) / n if n else 0.0
    if n < 2 or at_zero <= 0:
        # The differences are constant: all zero, or all in favour of the same forecast.
        return (
            DieboldMariano(0.0, 1.0, n) if mean == 0 or n < 2 else DieboldMariano(math.copysign(math.inf, mean), 0.0, n)
        )
    lags = min(horizon, n) - 1
    variance = at_zero + 2 * sum(float(np.sum(centred[lag:] * centred[:-lag])) / n for lag in range(1, lags + 1))
    if variance <= 0:
        variance = at_zero
    h = min(horizon, n)
    correction = (n + 1 - 2 * h + h * (h - 1) / n) / n
    statistic = mean / math.sqrt(variance / n) * math.sqrt(max(correction, 0.0))
    return DieboldMariano(statistic, float(2 * student_t.sf(abs(statistic), df=n - 1)), n)


def verdict(
    errors: NDArray[np.float64],
    persistence_errors: NDArray[np.float64],
    horizon: int,
    *,
    level: float,
    n_models: int = 1,
) -> Verdict:
    """Test errors of log returns against those of persistence, in time order; otherwise as `verdict_of_losses`."""
    return verdict_of_losses(errors**2, persistence_errors**2, horizon, level=level, n_models=n_models)


def verdict_of_losses(
    losses: NDArray[np.float64],
    persistence_losses: NDArray[np.float64],
    horizon: int,
    *,
    level: float,
    n_models: int = 1,
) -> Verdict:
    """Test squared errors against those of persistence, in time order, at significance level `level`.

    n_models: the number of models among which one is chosen. The p-value is multiplied by it (Bonferroni), as the
    procedure of Holm (1979) does for the smallest of several p-values.
    """
    test = diebold_mariano(losses, persistence_losses, horizon)
    adjusted = min(1.0, n_models * test.p_value)
    word: Word = "ties"
    if adjusted < level:
        word = "beats" if test.statistic < 0 else "worse"
    return Verdict(word, test.p_value, test.statistic, adjusted)


def sums_by_time(times: NDArray[Any], *losses: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], ...]:
    """Return the sums of losses at equal times, over the mean number of losses per time; times are ascending.

    Errors of different markets at one time are correlated: their sum counts as one observation. The mean of the sums
    is the mean of the losses.
    """
    import numpy as np

    starts = np.flatnonzero(np.diff(times, prepend=times[0] - 1))
    return tuple(np.add.reduceat(loss, starts) / (len(times) / len(starts)) for loss in losses)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple testing (Holm 1979); keeps their order."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
