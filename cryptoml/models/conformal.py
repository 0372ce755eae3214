"""Conformal quantiles: bounds that contain a nominal share of the errors of past forecasts.

A score is the error of a forecast (actual minus forecast return) over its expected size. Only scores of forecasts that
were made without knowledge of the outcome are used, and at each time only those whose outcome was known by then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

# Nominal coverages of the intervals.
LEVELS = (0.5, 0.8, 0.9, 0.95)
# The newest scores that are used: enough for the 95 % interval, and few enough to follow a change of regime.
RECENT = 2000
# With fewer known scores, all are used, whenever their outcome was known.
MIN_SCORES = 100


def conformal_quantile(errors: Scores, level: float) -> float:
    """Return the half-width that covers `level` of outcomes: the ceil((n + 1) level)-th smallest absolute error.

    Split conformal prediction (Lei et al. 2018, section 2.2); the largest error if n is too small.
    """
    import numpy as np

    return float(np.sort(np.abs(errors))[_rank(len(errors), level)])


def recent_bounds(
    scores: Scores, known: NDArray[np.intp], levels: Sequence[float], *, symmetric: bool
) -> tuple[Scores, Scores]:
    """Return lower and upper bounds of the score, each (rows, levels); wider for higher levels.

    scores: in the order of time. known: for each row, the number of scores whose outcome is known; the bounds are
    quantiles of the newest RECENT of them. symmetric: lower bounds are minus the upper ones; otherwise each side has
    half of the remaining probability.
    """
    import numpy as np

    counts, row = np.unique(np.where(known < MIN_SCORES, len(scores), known), return_inverse=True)
    if symmetric:
        upper = _quantiles(np.abs(scores), counts, levels)[row]
        return -upper, upper
    sides = [(1 + level) / 2 for level in levels]
    return -_quantiles(-scores, counts, sides)[row], _quantiles(scores, counts, sides)[row]


def recent_share_above(scores: Scores, count: int, value: float, *, symmetric: bool) -> float:
    """Return the share of the newest RECENT of the first `count` scores that are above a value.

    symmetric: of these scores and of minus them.
    """
    import numpy as np

    newest = scores[max(count - RECENT, 0) : count]
    above = float(np.mean(newest > value))
    return (above + float(np.mean(-newest > value))) / 2 if symmetric else above


def is_symmetric(scores: Scores, horizon: int, level: float = 0.9) -> bool:
    """Return whether extreme scores are about as often positive as negative (binomial test at 1 %).

    Of overlapping forecasts, every `horizon`-th counts.
    """
    import numpy as np
    from scipy.stats import binomtest

    apart = scores[::horizon]
    if len(apart) < MIN_SCORES:
        return True
    extreme = apart[np.abs(apart) > conformal_quantile(apart, level)]
    return len(extreme) == 0 or bool(binomtest(int(np.sum(extreme > 0)), len(extreme)).pvalue > 0.01)


def _quantiles(values: Scores, counts: NDArray[np.intp], levels: Sequence[float]) -> Scores:
    """Return the conformal quantiles of the newest RECENT of the first k values, for ascending counts k."""
    import numpy as np
    from scipy.ndimage import rank_filter

    out = np.empty((len(counts), len(levels)))
    filtered = counts >= RECENT
    # For few rows, sorting is faster than the filter, which goes over all values.
    filtered &= filtered.sum() > RECENT
    for row in np.flatnonzero(~filtered):
        newest = np.sort(values[max(counts[row] - RECENT, 0) : counts[row]])
        out[row] = newest[[_rank(len(newest), level) for level in levels]]
    if filtered.any():
        for column, level in enumerate(levels):
            # The window of the filter is centred; the first complete one ends with the value RECENT - 1.
            ordered = rank_filter(values, rank=_rank(RECENT, level), size=RECENT)
            out[filtered, column] = ordered[counts[filtered] - RECENT + RECENT // 2]
    return out


def _rank(n: int, level: float) -> int:
    return min(math.ceil((n + 1) * level), n) - 1
