"""Shrinkage of raw forecasts, estimated from out-of-fold forecasts."""

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
