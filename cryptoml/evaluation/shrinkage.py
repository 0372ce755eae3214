"""Shrinkage of raw forecasts and the width of prediction intervals, estimated from out-of-fold forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def shrinkage(target: NDArray[np.float64], out_of_fold: NDArray[np.float64]) -> float:
    """Return the slope of the regression, without intercept, of target on out-of-fold forecast, clipped to [0, 1].

    0 if all forecasts are zero.
    """
    import numpy as np

    power = float(np.sum(out_of_fold * out_of_fold))
    if power <= 0:
        return 0.0
    return float(np.clip(float(np.sum(target * out_of_fold)) / power, 0.0, 1.0))


def conformal_quantile(residuals: NDArray[np.float64], level: float) -> float:
    """Return the half-width that covers `level` of outcomes: the ceil((n + 1) level)-th smallest absolute residual.

    Split conformal prediction (Lei et al. 2018, section 2.2); the largest residual if n is too small.
    """
    import math

    import numpy as np

    sizes = np.sort(np.abs(residuals))
    rank = min(math.ceil((len(sizes) + 1) * level), len(sizes))
    return float(sizes[rank - 1])
