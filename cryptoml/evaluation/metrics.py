"""The metrics, each with formula, unit, direction and format. To add one, add an entry to METRICS."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cryptoml.evaluation.figures import cell, price

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]


@dataclass(frozen=True)
class Forecasts:
    """Forecasts and actual values: float64, one value per forecast, no NaN; returns are log returns."""

    price_now: Values
    actual_price: Values
    forecast_price: Values
    actual_return: Values
    forecast_return: Values
    lower_price: Values
    upper_price: Values


Better = Literal["lower", "higher", "nominal", "none"]
# Patterns of stored names. A metric that is computed on the hold-out only is stored under its plain name.
CV_MEAN, CV_STD, TEST, TRAIN, LAST_FOLD, PLAIN = "cv_{}_mean", "cv_{}_std", "test_{}", "train_{}", "cv_{}", "{}"
CROSS_VALIDATED = {
    CV_MEAN: "cv {}",
    CV_STD: "cv {} std",
    TEST: "test {}",
    TRAIN: "train {}",
    LAST_FOLD: "last fold {}",
}
LAST_COLUMN = 99


@dataclass(frozen=True)
class StoredMetric:
    """A number stored with a run, by its MLflow name.

    title: column heading with unit. better: the best value; "nominal" means nearest to the run parameter `nominal`,
    "none" that no value is better. fmt: format of `scale * value`, empty for a price. of_persistence: whether it is
    defined for persistence. column: rank of the table column, where 1 is hidden last on a narrow terminal; None for
    no column.
    """

    name: str
    title: str
    unit: str
    better: Better
    formula: str
    fmt: str = ""
    scale: float = 1.0
    nominal: str = ""
    of_persistence: bool = True
    column: int | None = None

    def loss(self, value: float, params: Mapping[str, str]) -> float:
        """Return a number that is lower for better values; NaN if the nominal value is missing."""
        if self.better == "nominal":
            return abs(value - float(params.get(self.nominal, math.nan)))
        return -value if self.better == "higher" else value

    def scaled(self, value: float) -> float:
        """Convert a value to the unit of the title."""
        return self.scale * value

    def text(self, value: float | None) -> str:
        """Format a value for a table; empty for None, a dash if it is not finite."""
        if value is None:
            return ""
        return cell(self.scaled(value), self.fmt) if self.fmt else price(self.scaled(value))


@dataclass(frozen=True, kw_only=True)
class Metric(StoredMetric):
    """A metric computed from forecasts.

    cross_validated: computed for each fold, the training part and the hold-out; otherwise for the hold-out only.
    columns: pattern of the stored name -> rank; by default only the hold-out value has a column.
    """

    compute: Callable[[Forecasts], float]
    cross_validated: bool = False
    columns: Mapping[str, int] = field(default_factory=dict)

    def stored(self) -> list[StoredMetric]:
        """Return the numbers stored with a run."""
        titles = CROSS_VALIDATED if self.cross_validated else {PLAIN: "{}"}
        columns = self.columns or {TEST: LAST_COLUMN, PLAIN: LAST_COLUMN}
        return [
            StoredMetric(
                pattern.format(self.name), title.format(self.title), self.unit,
                "lower" if pattern == CV_STD else self.better, self.formula, self.fmt, self.scale, self.nominal,
                self.of_persistence, columns.get(pattern),
            )
            for pattern, title in titles.items()
        ]  # fmt: skip


def skill_score(error: float, baseline_error: float) -> float:
    """Return 1 - error / baseline_error; NaN if the baseline has no error."""
    return 1 - error / baseline_error if baseline_error > 0 else math.nan


def rmse(forecasts: Forecasts) -> float:
    """Return the root mean squared error of the price, in price units."""
    return root_mean_square(forecasts.actual_price - forecasts.forecast_price)


def mae(forecasts: Forecasts) -> float:
    """Return the mean absolute error of the price, in price units."""
    import numpy as np

    return float(np.mean(np.abs(forecasts.actual_price - forecasts.forecast_price)))


def mape(forecasts: Forecasts) -> float:
    """Return the mean absolute error relative to the actual price, in percent."""
    import numpy as np

    return float(100 * np.mean(np.abs(forecasts.actual_price - forecasts.forecast_price) / forecasts.actual_price))


def r2_score(forecasts: Forecasts) -> float:
    """Return 1 - squared error / variance of the actual price; NaN if the price does not move."""
    import numpy as np

    # The rounded mean of equal prices may differ from them.
    if np.ptp(forecasts.actual_price) == 0:
        return math.nan
    spread = float(np.sum((forecasts.actual_price - np.mean(forecasts.actual_price)) ** 2))
    error = float(np.sum((forecasts.actual_price - forecasts.forecast_price) ** 2))
    return 1 - error / spread


def skill(forecasts: Forecasts) -> float:
    """Return 1 - RMSE / RMSE of persistence, on price; 0 for persistence, NaN if the price does not move."""
    return skill_score(rmse(forecasts), root_mean_square(forecasts.actual_price - forecasts.price_now))


def return_rmse(forecasts: Forecasts) -> float:
    """Return the root mean squared error of the log return."""
    return root_mean_square(forecasts.actual_return - forecasts.forecast_return)


def return_r2(forecasts: Forecasts) -> float:
    """Return 1 - squared error / squared error of the forecast "no change", on log returns.

    This is the out-of-sample R2 of Campbell and Thompson (2008), with zero in place of the mean.
    """
    import numpy as np

    spread = float(np.sum(forecasts.actual_return**2))
    error = float(np.sum((forecasts.actual_return - forecasts.forecast_return) ** 2))
    return 1 - error / spread if spread > 0 else math.nan


def directional_accuracy(forecasts: Forecasts) -> float:
    """Return the share of correct signs, where the price moved and a move was forecast; NaN without such rows."""
    import numpy as np

    moved = (forecasts.actual_return != 0) & (forecasts.forecast_return != 0)
    if not moved.any():
        return math.nan
    return float(np.mean(np.sign(forecasts.actual_return[moved]) == np.sign(forecasts.forecast_return[moved])))


def interval_coverage(forecasts: Forecasts) -> float:
    """Return the share of actual prices inside the prediction interval, including both ends."""
    import numpy as np

    above_lower = forecasts.lower_price <= forecasts.actual_price
    below_upper = forecasts.actual_price <= forecasts.upper_price
    return float(np.mean(above_lower & below_upper))


def root_mean_square(values: Values) -> float:
    """Return the root of the mean of the squares."""
    import numpy as np

    return float(np.sqrt(np.mean(values**2)))


_METRICS = (
    Metric(
        name="rmse", title="RMSE", unit="price", better="lower", compute=rmse, cross_validated=True,
        formula="sqrt(mean((actual - forecast)²))", columns={CV_MEAN: 1, CV_STD: 8, TEST: 4},
    ),
    Metric(
        name="mae", title="MAE", unit="price", better="lower", compute=mae, cross_validated=True,
        formula="mean(abs(actual - forecast))", columns={TEST: 7},
    ),
    Metric(
        name="mape", title="MAPE %", unit="%", better="lower", compute=mape, cross_validated=True, fmt=".3f",
        formula="100 mean(abs(actual - forecast) / actual)", columns={TEST: 9},
    ),
    Metric(
        name="r2_score", title="R2", unit="1", better="higher", compute=r2_score, cross_validated=True, fmt=".4f",
        formula="1 - sum((actual - forecast)²) / sum((actual - mean(actual))²)", columns={TEST: 9},
    ),
    Metric(
        name="skill", title="skill %", unit="share", better="higher", compute=skill, fmt="+.3f", scale=100,
        formula="1 - RMSE / RMSE of persistence, on price", of_persistence=False, columns={PLAIN: 2},
    ),
    Metric(
        name="directional_accuracy", title="direction %", unit="share", better="higher", compute=directional_accuracy,
        formula="share of correct signs where the price moved and a move was forecast", fmt=".1f", scale=100,
        of_persistence=False, columns={PLAIN: 5},
    ),
    Metric(
        name="return_rmse", title="return RMSE bp", unit="log return", better="lower", compute=return_rmse,
        formula="sqrt(mean((actual - forecast)²)), on log returns", fmt=".3f", scale=1e4,
    ),
    Metric(
        name="return_r2", title="return R2 %", unit="share", better="higher", compute=return_r2,
        formula="1 - sum((actual - forecast)²) / sum(actual²), on log returns (Campbell and Thompson 2008)",
        fmt="+.3f", scale=100, of_persistence=False,
    ),
    Metric(
        name="interval_coverage", title="coverage %", unit="share", better="nominal", nominal="interval_level",
        compute=interval_coverage, fmt=".1f", scale=100,
        formula="share of actual prices inside the prediction interval, both ends included",
    ),
)  # fmt: skip
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}

# Other numbers that a training stores.
_FIGURES = (
    StoredMetric(
        "dm_p_value", "p", "1", "none", "Diebold and Mariano (1995) against persistence, two-sided", ".3f",
        of_persistence=False, column=3,
    ),
    StoredMetric("training_time_seconds", "time s", "s", "lower", "CPU time of all fits", ".1f", column=6),
    StoredMetric("prediction_latency_ms", "latency ms", "ms", "lower", "median time of one forecast", ".1f"),
    StoredMetric("baseline_rmse", "persistence RMSE", "price", "none", "RMSE of persistence on the hold-out"),
    StoredMetric("shrinkage", "shrinkage", "1", "none", "slope of target on out-of-fold forecast, 0 to 1", ".3f"),
    StoredMetric("n_train_samples", "training rows", "rows", "none", "rows of the training part", ",.0f"),
    StoredMetric("n_test_samples", "hold-out rows", "rows", "none", "rows of the hold-out", ",.0f"),
    StoredMetric("n_features", "features", "columns", "none", "number of features", ",.0f"),
)  # fmt: skip
FIGURES: dict[str, StoredMetric] = {figure.name: figure for figure in _FIGURES}


def stored_metrics() -> dict[str, StoredMetric]:
    """Return all numbers stored with a run, by MLflow name."""
    metrics = [*(stored for metric in METRICS.values() for stored in metric.stored()), *FIGURES.values()]
    return {metric.name: metric for metric in metrics}


def table_metrics() -> list[StoredMetric]:
    """Return the stored metrics that have a column in tables and reports, in column order."""
    return [metric for metric in stored_metrics().values() if metric.column is not None]


def fold_values(folds: Sequence[Forecasts]) -> dict[str, tuple[float, ...]]:
    """Return the cross-validated metrics by MLflow name, with one value per fold."""
    return {
        LAST_FOLD.format(name): tuple(metric.compute(fold) for fold in folds)
        for name, metric in METRICS.items()
        if metric.cross_validated
    }


def summarize(train: Forecasts, test: Forecasts, by_fold: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return all metrics by MLflow name; `by_fold`: the result of `fold_values`."""
    from statistics import fmean, stdev

    summary: dict[str, float] = {}
    for name, metric in METRICS.items():
        if not metric.cross_validated:
            summary[name] = metric.compute(test)
            continue
        values = by_fold[LAST_FOLD.format(name)]
        summary[CV_MEAN.format(name)] = fmean(values)
        # R2 is NaN for a fold in which the price does not move; stdev fails on NaN.
        summary[CV_STD.format(name)] = stdev(values) if math.isfinite(sum(values)) else math.nan
        summary[TEST.format(name)] = metric.compute(test)
        summary[TRAIN.format(name)] = metric.compute(train)
    return summary
