"""Scores and tests of prediction intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]


def interval_score(actual: Values, lower: Values, upper: Values, level: float) -> float:
    """Return the mean width, plus 2 / (1 - level) times the distance of each value outside; lower is better.

    Winkler (1972), as in Gneiting and Raftery (2007), section 6.2. In the unit of the values.
    """
    import numpy as np

    outside = np.maximum(lower - actual, 0.0) + np.maximum(actual - upper, 0.0)
    return float(np.mean(upper - lower + 2 / (1 - level) * outside))


def pinball_loss(actual: Values, forecast: Values, probability: float) -> float:
    """Return the mean quantile loss of a forecast of the quantile at `probability` (Koenker and Bassett 1978)."""
    import numpy as np

    error = actual - forecast
    return float(np.mean(np.maximum(probability * error, (probability - 1) * error)))


def kupiec_p_value(inside: NDArray[np.bool_], level: float) -> float:
    """Return the p-value of the likelihood-ratio test that the coverage is `level` (Kupiec 1995).

    NaN without forecasts. inside: whether each outcome was in the interval; of forecasts that do not overlap.
    """
    n, hits = len(inside), int(inside.sum())
    if n == 0:
        return math.nan
    ratio = 2 * (_log_likelihood(hits, n, hits / n) - _log_likelihood(hits, n, level))
    return _chi2_sf(ratio, 1)


def christoffersen_p_value(inside: NDArray[np.bool_]) -> float:
    """Return the p-value of the test that misses are independent of the miss before them (Christoffersen 1998).

    NaN with fewer than two forecasts. inside: in the order of time; of forecasts that do not overlap.
    """
    if len(inside) < 2:
        return math.nan
    before, after = ~inside[:-1], ~inside[1:]
    n_after_hit, n_after_miss = int((~before).sum()), int(before.sum())
    misses_after_hit, misses_after_miss = int((after & ~before).sum()), int((after & before).sum())
    misses, n = misses_after_hit + misses_after_miss, len(after)
    apart = sum(
        _log_likelihood(count, of, count / of)
        for count, of in ((misses_after_hit, n_after_hit), (misses_after_miss, n_after_miss))
        if of
    )
    return _chi2_sf(2 * (apart - _log_likelihood(misses, n, misses / n)), 1)


def _log_likelihood(successes: int, n: int, share: float) -> float:
    """Return the log likelihood of independent trials."""
    found = 0.0
    if successes:
        found += successes * math.log(share)
    if n - successes:
        found += (n - successes) * math.log1p(-share)
    return found


def _chi2_sf(statistic: float, degrees: int) -> float:
    from scipy.stats import chi2

    return float(chi2.sf(max(statistic, 0.0), degrees))
