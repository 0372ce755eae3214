"""Shrinkage of raw forecasts, estimated from out-of-fold forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptoml.evaluation.significance import sums_by_time

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def shrinkage(
    target: NDArray[np.float64],
    out_of_fold: NDArray[np.float64],
    horizon: int,
    *,
    times: NDArray[Any] | None = None,
) -> float:
    """Return the slope of target on out-of-fold forecast, less its standard error, clipped to [0, 1].

    Subtracting the standard error believes a forecast only as far as the evidence goes. 0 if all forecasts are zero.
    """
    slope, error = slope_and_error(target, out_of_fold, horizon, times=times)
    return min(max(slope - error, 0.0), 1.0)


def slope_and_error(
    target: NDArray[np.float64],
    forecast: NDArray[np.float64],
    horizon: int,
    *,
    times: NDArray[Any] | None = None,
) -> tuple[float, float]:
    """Return the slope of the regression, without intercept, of target on forecast, and its standard error.

    The error allows for heteroskedasticity and for the autocorrelation of overlapping targets (Newey and West 1987,
    with 2 horizon - 1 lags). times: of the rows, ascending, if they repeat: errors at one time then count as one. Both
    are 0 if all forecasts are zero.
    """
    import numpy as np

    power = float(np.sum(forecast * forecast))
    if power <= 0:
        return 0.0, 0.0
    slope = float(np.sum(target * forecast)) / power
    scores = forecast * (target - slope * forecast)
    scale = 1.0
    if times is not None:
        (scores,) = sums_by_time(times, scores)
        scale = len(times) / len(scores)
    variance = float(np.sum(scores * scores))
    for lag in range(1, min(2 * horizon, len(scores))):
        variance += 2 * (1 - lag / (2 * horizon)) * float(np.sum(scores[lag:] * scores[:-lag]))
    return slope, scale * max(variance, 0.0) ** 0.5 / power
