"""The metrics: each once, with its formula, unit, direction and format. One entry in METRICS adds one everywhere."""

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
    """Forecasts and what came true: float64, one value a forecast, no NaN; returns are log returns."""

    price_now: Values
    actual_price: Values
    forecast_price: Values
    actual_return: Values
    forecast_return: Values
    lower_price: Values
    upper_price: Values


Better = Literal["lower", "higher", "nominal", "none"]
# The names under which a metric is stored: of a fold, over the folds, of the hold-out, of the training part.
# One that is computed on the hold-out alone is stored under its plain name.
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

    title: heading of its column, unit included. better: which value is best; "nominal" means nearest to the run
    parameter `nominal`, "none" that no value is better than another. form: format of `scale * value`, empty for a
    price. of_persistence: whether it says anything about persistence itself. column: rank among the columns of
    tables, 1 is the last to go when the terminal is narrow; None for no column.
    """

    name: str
    title: str
    unit: str
    better: Better
    formula: str
    form: str = ""
    scale: float = 1.0
    nominal: str = ""
    of_persistence: bool = True
    column: int | None = None

    def loss(self, value: float, params: Mapping[str, str]) -> float:
        """A number that is the smaller the better `value` is; NaN when that cannot be told."""
        if self.better == "nominal":
            return abs(value - float(params.get(self.nominal, math.nan)))
        return -value if self.better == "higher" else value

    def scaled(self, value: float) -> float:
        """The value in the unit of the title."""
        return self.scale * value

    def text(self, value: float | None) -> str:
        """The value as a table shows it; empty for None, a dash for a number that is not finite."""
        if value is None:
            return ""
        return cell(self.scaled(value), self.form) if self.form else price(self.scaled(value))


@dataclass(frozen=True, kw_only=True)
class Metric(StoredMetric):
    """A metric computed from forecasts.

    cross_validated: computed for each fold, the training part and the hold-out; else for the hold-out alone.
    columns: stored form -> rank, where not only the value of the hold-out has a column.
    """

    compute: Callable[[Forecasts], float]
    cross_validated: bool = False
    columns: Mapping[str, int] = field(default_factory=dict)

    def stored(self) -> list[StoredMetric]:
        """The numbers stored with a run."""
        titles = CROSS_VALIDATED if self.cross_validated else {PLAIN: "{}"}
        columns = self.columns or {TEST: LAST_COLUMN, PLAIN: LAST_COLUMN}
        return [
            StoredMetric(
                form.format(self.name), title.format(self.title), self.unit,
                "lower" if form == CV_STD else self.better, self.formula, self.form, self.scale, self.nominal,
                self.of_persistence, columns.get(form),
            )
            for form, title in titles.items()
        ]  # fmt: skip


def skill_score(error: float, baseline_error: float) -> float:
    """1 - error / baseline_error; NaN when the baseline makes no error, as nothing is smaller than none."""
    return 1 - error / baseline_error if baseline_error > 0 else math.nan


def rmse(one: Forecasts) -> float:
    """Root of the mean squared error of price, in price units."""
    return root_mean_square(one.actual_price - one.forecast_price)


def mae(one: Forecasts) -> float:
    """Mean absolute error of price, in price units."""
    import numpy as np

    return float(np.mean(np.abs(one.actual_price - one.forecast_price)))


def mape(one: Forecasts) -> float:
    """Mean absolute error of price as a share of the actual price, in percent."""
    import numpy as np

    return float(100 * np.mean(np.abs(one.actual_price - one.forecast_price) / one.actual_price))


def r2_score(one: Forecasts) -> float:
    """1 - squared error / variance of the actual price; NaN when the price does not move."""
    import numpy as np

    spread = float(np.sum((one.actual_price - np.mean(one.actual_price)) ** 2))
    error = float(np.sum((one.actual_price - one.forecast_price) ** 2))
    return 1 - error / spread if spread > 0 else math.nan


def skill(one: Forecasts) -> float:
    """1 - RMSE / RMSE of persistence, on price; 0 for persistence itself, NaN when the price does not move."""
    return skill_score(rmse(one), root_mean_square(one.actual_price - one.price_now))


def return_rmse(one: Forecasts) -> float:
    """Root of the mean squared error of the log return."""
    return root_mean_square(one.actual_return - one.forecast_return)


def return_r2(one: Forecasts) -> float:
    """1 - squared error / squared error of the forecast "no change", on log returns (out-of-sample R2 against
    zero, as Campbell and Thompson 2008 do with the mean).
    """
    import numpy as np

    spread = float(np.sum(one.actual_return**2))
    return 1 - float(np.sum((one.actual_return - one.forecast_return) ** 2)) / spread if spread > 0 else math.nan


def directional_accuracy(one: Forecasts) -> float:
    """Share of right signs where price moved and a move was forecast; NaN when there is none."""
    import numpy as np

    asked = (one.actual_return != 0) & (one.forecast_return != 0)
    if not asked.any():
        return math.nan
    return float(np.mean(np.sign(one.actual_return[asked]) == np.sign(one.forecast_return[asked])))


def interval_coverage(one: Forecasts) -> float:
    """Share of actual prices inside the forecast interval, both ends included."""
    import numpy as np

    return float(np.mean((one.lower_price <= one.actual_price) & (one.actual_price <= one.upper_price)))


def root_mean_square(values: Values) -> float:
    """Root of the mean of the squares."""
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
        name="mape", title="MAPE %", unit="%", better="lower", compute=mape, cross_validated=True, form=".3f",
        formula="100 mean(abs(actual - forecast) / actual)", columns={TEST: 9},
    ),
    Metric(
        name="r2_score", title="R2", unit="1", better="higher", compute=r2_score, cross_validated=True, form=".4f",
        formula="1 - sum((actual - forecast)²) / sum((actual - mean(actual))²)", columns={TEST: 9},
    ),
    Metric(
        name="skill", title="skill %", unit="share", better="higher", compute=skill, form="+.3f", scale=100,
        formula="1 - RMSE / RMSE of persistence, on price", of_persistence=False, columns={PLAIN: 2},
    ),
    Metric(
        name="directional_accuracy", title="direction %", unit="share", better="higher", compute=directional_accuracy,
        formula="share of correct signs where the price moved and a move was forecast", form=".1f", scale=100,
        of_persistence=False, columns={PLAIN: 5},
    ),
    Metric(
        name="return_rmse", title="return RMSE bp", unit="log return", better="lower", compute=return_rmse,
        formula="sqrt(mean((actual - forecast)²)), on log returns", form=".3f", scale=1e4,
    ),
    Metric(
        name="return_r2", title="return R2 %", unit="share", better="higher", compute=return_r2,
        formula="1 - sum((actual - forecast)²) / sum(actual²), on log returns (Campbell and Thompson 2008)",
        form="+.3f", scale=100, of_persistence=False,
    ),
    Metric(
        name="interval_coverage", title="coverage %", unit="share", better="nominal", nominal="interval_level",
        compute=interval_coverage, form=".1f", scale=100,
        formula="share of actual prices inside the prediction interval, both ends included",
    ),
)  # fmt: skip
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}

# What training stores beside them.
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
    """Every number stored with a run, by its MLflow name."""
    stored = [*(one for metric in METRICS.values() for one in metric.stored()), *FIGURES.values()]
    return {metric.name: metric for metric in stored}


def table_metrics() -> list[StoredMetric]:
    """Those that are columns of tables and reports, in the order of their columns."""
    return [metric for metric in stored_metrics().values() if metric.column is not None]


def fold_values(folds: Sequence[Forecasts]) -> dict[str, tuple[float, ...]]:
    """The values of the cross-validated metrics fold by fold, by MLflow name."""
    return {
        LAST_FOLD.format(name): tuple(metric.compute(fold) for fold in folds)
        for name, metric in METRICS.items()
        if metric.cross_validated
    }


def summarize(train: Forecasts, test: Forecasts, by_fold: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The value of every metric by MLflow name; means and standard deviations are of `by_fold` (see fold_values)."""
    from statistics import fmean, stdev

    found: dict[str, float] = {}
    for name, metric in METRICS.items():
        if not metric.cross_validated:
            found[name] = metric.compute(test)
            continue
        values = by_fold[LAST_FOLD.format(name)]
        found[CV_MEAN.format(name)] = fmean(values)
        # Where the price does not move in a fold, its R2 is NaN, which stdev refuses.
        found[CV_STD.format(name)] = stdev(values) if math.isfinite(sum(values)) else math.nan
        found[TEST.format(name)] = metric.compute(test)
        found[TRAIN.format(name)] = metric.compute(train)
    return found
