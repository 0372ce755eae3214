"""The metrics, each with formula, unit, direction and format. To add one, add an entry to METRICS."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

from cryptoml.evaluation import interval_metrics as of_interval
from cryptoml.evaluation import point_metrics as of_point
from cryptoml.evaluation.figures import P_VALUE
from cryptoml.evaluation.forecasts import Forecasts
from cryptoml.evaluation.stored_metric import CV_MEAN, CV_STD, LAST_FOLD, PLAIN, TEST, TRAIN, Metric, StoredMetric

_METRICS = (
    Metric(
        name="rmse", title="RMSE", unit="price", better="lower", compute=of_point.rmse, cross_validated=True,
        formula="sqrt(mean((actual - forecast)²))", columns={CV_MEAN: 1, CV_STD: 10, TEST: 4},
    ),
    Metric(
        name="mae", title="MAE", unit="price", better="lower", compute=of_point.mae, cross_validated=True,
        formula="mean(abs(actual - forecast))", columns={TEST: 9},
    ),
    Metric(
        name="mape", title="MAPE %", unit="%", better="lower", compute=of_point.mape, cross_validated=True, fmt=".3f",
        formula="100 mean(abs(actual - forecast) / actual)", columns={TEST: 11},
    ),
    Metric(
        name="r2_score", title="R2", unit="1", better="higher", compute=of_point.r2_score,
        cross_validated=True, fmt=".4f",
        formula="1 - sum((actual - forecast)²) / sum((actual - mean(actual))²)", columns={TEST: 11},
    ),
    Metric(
        name="skill", title="skill %", unit="share", better="higher", compute=of_point.skill, fmt="+.3f", scale=100,
        formula="1 - RMSE / RMSE of persistence, on price", of_persistence=False, columns={PLAIN: 2},
    ),
    Metric(
        name="directional_accuracy", title="direction %", unit="share", better="higher",
        compute=of_point.directional_accuracy,
        formula="share of correct signs where the price moved and a move was forecast", fmt=".1f", scale=100,
        of_persistence=False, columns={PLAIN: 7},
    ),
    Metric(
        name="return_rmse", title="return RMSE bp", unit="log return", better="lower", compute=of_point.return_rmse,
        formula="sqrt(mean((actual - forecast)²)), on log returns", fmt=".3f", scale=1e4,
    ),
    Metric(
        name="return_r2", title="return R2 %", unit="share", better="higher", compute=of_point.return_r2,
        formula="1 - sum((actual - forecast)²) / sum(actual²), on log returns (Campbell and Thompson 2008)",
        fmt="+.3f", scale=100, of_persistence=False,
    ),
    Metric(
        name="interval_coverage", title="coverage %", unit="share", better="nominal", nominal="interval_level",
        compute=of_point.interval_coverage, fmt=".1f", scale=100,
        formula="share of actual prices inside the prediction interval, both ends included", columns={PLAIN: 6},
    ),
    Metric(
        name="interval_skill", title="interval skill %", unit="share", better="higher",
        compute=of_interval.interval_skill,
        formula="1 - interval score / interval score of intervals of constant width", fmt="+.1f", scale=100,
        columns={PLAIN: 5},
    ),
    Metric(
        name="interval_score", title="interval score bp", unit="log return", better="lower",
        compute=of_interval.mean_interval_score, fmt=".1f", scale=1e4,
        formula="mean(width + 2 / (1 - level) · distance outside), on log returns (Winkler 1972)", columns={},
    ),
    Metric(
        name="pinball_loss", title="pinball loss bp", unit="log return", better="lower",
        compute=of_interval.mean_pinball_loss,
        formula="mean(max(q · e, (q - 1) · e)) over the bounds of all intervals, on log returns", fmt=".3f", scale=1e4,
        columns={},
    ),
    *(
        Metric(
            name=f"coverage_{100 * level:.0f}", title=f"coverage of {100 * level:.0f} %", unit="share",
            better="nominal", nominal=f"{level:g}", compute=partial(of_interval.coverage, level=level),
            fmt=".1f", scale=100,
            formula=f"share of actual returns inside the interval with a nominal coverage of {100 * level:.0f} %",
            columns={},
        )
        for level in (0.5, 0.8, 0.9, 0.95)
    ),
    *(
        Metric(
            name=f"coverage_{name}", title=f"coverage, {name} third %", unit="share", better="nominal",
            nominal="interval_level", compute=partial(of_interval.coverage_by_size, third=third), fmt=".1f", scale=100,
            formula=f"coverage in the {name} third of the hold-out, by expected size of the return", columns={},
        )
        for third, name in enumerate(("calm", "middle", "wild"))
    ),
    Metric(
        name="coverage_p_value", title="coverage p", unit="1", better="none", compute=of_interval.coverage_p_value,
        fmt=P_VALUE,
        formula="test that the coverage is nominal (Kupiec 1995), on every horizon-th forecast", columns={},
    ),
    Metric(
        name="independence_p_value", title="independence p", unit="1", better="none",
        compute=of_interval.independence_p_value,
        formula="test that misses do not cluster (Christoffersen 1998), on every horizon-th forecast", fmt=P_VALUE,
        columns={},
    ),
)  # fmt: skip
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}

# Other numbers that a training stores.
_FIGURES = (
    StoredMetric(
        "dm_p_value_adjusted", "p", "1", "none",
        "dm_p_value times the number of models of the training, at most 1 (Bonferroni)", P_VALUE,
        of_persistence=False, column=3,
    ),
    StoredMetric(
        "dm_p_value_holdout", "hold-out p", "1", "none",
        "Diebold and Mariano (1995) against persistence, two-sided, on the hold-out", P_VALUE,
        of_persistence=False, column=7,
    ),
    StoredMetric(
        "dm_p_value", "unadjusted p", "1", "none",
        "Diebold and Mariano (1995) against persistence, two-sided, on the folds after the first and the hold-out",
        P_VALUE, of_persistence=False,
    ),
    StoredMetric("training_time_seconds", "time s", "s", "lower", "CPU time of all fits", ".1f", column=8),
    StoredMetric("prediction_latency_ms", "latency ms", "ms", "lower", "median time of one forecast", ".1f"),
    StoredMetric("baseline_rmse", "persistence RMSE", "price", "none", "RMSE of persistence on the hold-out"),
    StoredMetric(
        "shrinkage", "shrinkage", "1", "none",
        "slope of target on out-of-fold forecast, less its standard error; 0 to 1", ".3f",
    ),
    StoredMetric("n_train_samples", "training rows", "rows", "none", "rows of the training part", ",.0f"),
    StoredMetric("n_test_samples", "hold-out rows", "rows", "none", "rows of the hold-out", ",.0f"),
    StoredMetric("n_features", "features", "columns", "none", "number of features", ",.0f"),
)  # fmt: skip
# Runs of earlier versions have one p-value.
_REPLACED = {"dm_p_value_adjusted": "dm_p_value"}
FIGURES: dict[str, StoredMetric] = {figure.name: figure for figure in _FIGURES}


def stored_metrics() -> dict[str, StoredMetric]:
    """Return all numbers stored with a run, by MLflow name."""
    metrics = [*(stored for metric in METRICS.values() for stored in metric.stored()), *FIGURES.values()]
    return {metric.name: metric for metric in metrics}


def stored_value(metrics: Mapping[str, float], name: str) -> float | None:
    """Return a stored number of a run; of an earlier version's run, that of the metric which this one replaced."""
    return metrics.get(name, metrics.get(_REPLACED.get(name, "")))


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
