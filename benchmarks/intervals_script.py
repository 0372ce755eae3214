"""Prediction intervals by other libraries, for `benchmarks.intervals`; runs in an environment of its own.

Reads returns, rows and parts of one training from an .npz file, and writes lower and upper bounds of the log return on
the hold-out by method to another one.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from arch import arch_model
from crepes import ConformalRegressor
from mapie.regression import ConformalizedQuantileRegressor
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor

Bounds = tuple[np.ndarray, np.ndarray]


def garch_sizes(given: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Return the standard deviation of the return over the horizon at each row, and the degrees of freedom.

    GARCH(1,1) with Student's t, fitted on the returns of the training part; the later ones only update the variance.
    """
    returns, horizon = 100 * given["returns"], int(given["horizon"])
    valid = ~np.isnan(returns)
    until = int(valid[: int(given["train_until"])].sum())
    series = returns[valid]
    fitted = arch_model(series[:until], mean="Zero", vol="GARCH", p=1, q=1, dist="t").fit(disp="off")
    omega, alpha, beta, nu = (float(fitted.params[name]) for name in ("omega", "alpha[1]", "beta[1]", "nu"))
    now = arch_model(series, mean="Zero", vol="GARCH", p=1, q=1, dist="t").fix(fitted.params).conditional_volatility
    following = omega + alpha * series**2 + beta * np.asarray(now) ** 2
    persistence = min(alpha + beta, 0.9999)
    long_run = omega / (1 - persistence)
    total = sum(long_run + persistence**step * (following - long_run) for step in range(horizon))
    whole = np.full(len(returns), np.nan)
    whole[valid] = np.sqrt(total) / 100
    return whole[given["position"]], nu


def scaled(given: dict[str, np.ndarray], size: np.ndarray) -> Bounds:
    """Return split conformal intervals of the return over a size, calibrated on the validation windows."""
    scores = np.sort(np.abs(given["target"] / size)[given["calibration"]])
    level = float(given["level"])
    quantile = scores[min(int(np.ceil((len(scores) + 1) * level)), len(scores)) - 1]
    held = size[given["holdout"]]
    return -quantile * held, quantile * held


def boosting(probability: float) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        loss="quantile", quantile=probability, max_iter=150, learning_rate=0.05, max_leaf_nodes=15,
        min_samples_leaf=200, early_stopping=False, random_state=1,
    )  # fmt: skip


def main() -> None:
    warnings.simplefilter("ignore")
    given = dict(np.load(sys.argv[1]))
    level, X, y = float(given["level"]), given["X"], given["target"]
    train, calibration, holdout = given["train"], given["calibration"], given["holdout"]
    found: dict[str, Bounds] = {}
    sigma, nu = garch_sizes(given)
    half = stats.t.ppf((1 + level) / 2, nu) * np.sqrt((nu - 2) / nu) * sigma[holdout]
    found["GARCH(1,1)-t (arch)"] = -half, half
    found["GARCH(1,1), conformal"] = scaled(given, sigma)
    sides = [(1 - level) / 2, (1 + level) / 2]
    low, high = (boosting(side).fit(X[train], y[train]).predict(X[holdout]) for side in sides)
    found["quantile boosting"] = low, high
    # Fitted before the last validation window, which calibrates.
    last = calibration & (np.arange(len(y)) >= int(given["last_from"]))
    first = train & (np.arange(len(y)) < int(given["last_from"]) - int(given["horizon"]))
    models = [boosting(side).fit(X[first], y[first]) for side in (*sides, 0.5)]
    conformal = ConformalizedQuantileRegressor(models, confidence_level=level, prefit=True)
    conformal.conformalize(X[last], y[last])
    bounds = conformal.predict_interval(X[holdout])[1][:, :, 0]
    found["conformal quantiles (mapie)"] = bounds[:, 0], bounds[:, 1]
    recent = given["recent_std"]
    regressor = ConformalRegressor().fit(y[calibration], sigmas=recent[calibration])
    both = regressor.predict_int(np.zeros(holdout.sum()), sigmas=recent[holdout], confidence=level)
    found["scaled by 24 candles (crepes)"] = both[:, 0], both[:, 1]
    np.savez(sys.argv[2], **{name: np.array(bounds) for name, bounds in found.items()})


if __name__ == "__main__":
    main()
