"""The Sharpe ratio, its standard error, and its probability of being above zero for the best of several models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EULER = 0.5772156649015329


@dataclass(frozen=True)
class SharpeRatio:
    """Annual Sharpe ratio with its standard error; NaN if the returns do not vary.

    deflated: probability that the true ratio is above zero, given that it is the best of several models: the deflated
    Sharpe ratio of Bailey and López de Prado (2014).
    """

    value: float
    standard_error: float
    deflated: float


def sharpe_ratio(returns: NDArray[np.float64], in_a_year: float, *, n_models: int = 1) -> SharpeRatio:
    """Estimate the ratio of mean to standard deviation of returns over equal periods; the riskless return is zero.

    in_a_year: number of periods in a year. The standard error is that of Mertens (2002), for returns with skewness and
    fat tails. n_models: number of models among which the best was chosen. The best of as many ratios of models
    without any skill, with the variance of the estimate, is what a ratio is compared with.
    """
    import numpy as np
    from scipy.stats import kurtosis, norm, skew

    n, deviation = len(returns), float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    if deviation == 0:
        return SharpeRatio(math.nan, math.nan, math.nan)
    ratio = float(np.mean(returns)) / deviation
    skewness, fourth = float(skew(returns)), float(kurtosis(returns, fisher=False))
    error = math.sqrt(max(1 - skewness * ratio + (fourth - 1) / 4 * ratio**2, 0.0) / (n - 1))
    by_chance = 0.0
    if n_models > 1:
        best = (1 - EULER) * norm.ppf(1 - 1 / n_models) + EULER * norm.ppf(1 - 1 / (n_models * math.e))
        by_chance = float(best) / math.sqrt(n - 1)
    deflated = float(norm.cdf((ratio - by_chance) / error)) if error else math.nan
    year = math.sqrt(in_a_year)
    return SharpeRatio(ratio * year, error * year, deflated)
