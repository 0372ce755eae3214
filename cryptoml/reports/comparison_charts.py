"""The charts of the comparison report, as data for Plotly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptoml.evaluation.comparison import ComparedRun
from cryptoml.evaluation.metrics import table_metrics
from cryptoml.evaluation.point_metrics import root_mean_square, skill_score
from cryptoml.result import finite_or_none

if TYPE_CHECKING:
    import pandas as pd

# Okabe and Ito (2008): distinguishable with colour vision deficiency.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A7B00", "#7F3C8D", "#4D4D4D")
BASELINE_COLOUR = "#999999"
NEWEST_SHOWN = 300
PERIODS = 40
FEATURES_SHOWN = 15


@dataclass(frozen=True)
class Section:
    """A chart with its title and caption."""

    key: str
    title: str
    caption: str
    figure: Mapping[str, Any]


def charts(runs: Sequence[ComparedRun]) -> list[Section]:
    """Return the charts for which the runs have data."""
    colours = colours_of(runs)
    forecasting = [run for run in runs if run.details and run.details.predictions is not None and len(_rows(run))]
    models = [run for run in forecasting if not run.is_baseline]
    sections = []
    if forecasting:
        sections.append(
            Section(
                "forecast",
                "Forecast and actual price",
                f"The latest {NEWEST_SHOWN} candles of the hold-out. A forecast that follows the price one candle "
                "late is persistence; look for the places where the lines differ.",
                _forecast(forecasting, colours),
            )
        )
    if models:
        sections += _scores(models, forecasting, colours)
    if any(_shares(run) for run in runs):
        sections.append(
            Section(
                "importance", "Feature importance",
                "The importance of each feature as a share: by impurity, gain or coefficient, depending on the model.",
                _importance(runs, colours),
            )
        )  # fmt: skip
    if any(run.details and run.details.folds for run in runs):
        sections.append(
            Section(
                "folds", "Fold scores",
                "Skill in each fold of the cross-validation, in time order.",
                _folds(runs, colours),
            )
        )  # fmt: skip
    scored = [run for run in runs if run.comparable and run.metrics]
    if len(scored) > 1:
        sections.append(
            Section(
                "parallel", "All metrics at once",
                "One line per run; drag along an axis to show only the runs in that range.",
                _parallel(scored),
            )
        )  # fmt: skip
    return sections


def _scores(
    models: Sequence[ComparedRun], forecasting: Sequence[ComparedRun], colours: Mapping[str, str]
) -> list[Section]:
    return [
        Section(
            "residuals", "Residuals",
            "Actual minus forecast log return on the hold-out, in percent; closer to zero is better.",
            _residuals(forecasting, colours),
        ),
        Section(
            "time", "Error over time",
            "Skill by period of the hold-out: the reduction of the RMSE relative to persistence. "
            "A good model is above zero in most periods, not only in one.",
            _over_time(models, colours),
        ),
        Section(
            "coverage", "Coverage over time",
            "Share of the prices inside the prediction interval, by period of the hold-out. "
            "A good interval stays near the dashed line: the nominal coverage.",
            _coverage(models, colours),
        ),
    ]  # fmt: skip


def colours_of(runs: Sequence[ComparedRun]) -> dict[str, str]:
    """Return run ID -> colour in all charts."""
    models = [run.run_id for run in runs if not run.is_baseline]
    colours = {run_id: COLOURS[index % len(COLOURS)] for index, run_id in enumerate(models)}
    return {run.run_id: colours.get(run.run_id, BASELINE_COLOUR) for run in runs}


def shown_values(run: ComparedRun) -> dict[str, float | None]:
    """Return the metrics of a run in the units of their titles; None for missing ones."""
    values = {metric: run.value(metric) for metric in table_metrics()}
    return {
        metric.name: None if value is None else finite_or_none(metric.scaled(value)) for metric, value in values.items()
    }


def _shares(run: ComparedRun) -> Mapping[str, float]:
    return run.details.importance if run.details else {}


def numbers(values: Any) -> list[float | None]:
    """Return values as floats for JSON; None for those that are not finite."""
    return [finite_or_none(float(value)) for value in values]


def times(index: pd.Index) -> list[str]:
    """Return times as texts that Plotly takes as dates."""
    return [f"{time:%Y-%m-%d %H:%M}" for time in index]


def line(name: str, x: Sequence[Any], y: Sequence[float | None], colour: str, **more: Any) -> dict[str, Any]:
    """Return a line of a chart."""
    style = {"color": colour, "width": 1.6, **more.pop("line", {})}
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": style, **more}


def _forecast(runs: Sequence[ComparedRun], colours: Mapping[str, str]) -> dict[str, Any]:
    actual = _rows(runs[0]).tail(NEWEST_SHOWN)
    data = [line("actual", times(actual.index), numbers(actual["actual_price"]), "#000000", line={"width": 2.2})]
    for run in runs:
        rows = _rows(run).tail(NEWEST_SHOWN)
        data.append(line(run.name, times(rows.index), numbers(rows["forecast_price"]), colours[run.run_id]))
    return {"data": data, "layout": {"yaxis": {"title": {"text": "price"}}, "hovermode": "x unified"}}


def _residuals(runs: Sequence[ComparedRun], colours: Mapping[str, str]) -> dict[str, Any]:
    import numpy as np

    errors = [100 * (_rows(run)["actual_return"] - _rows(run)["forecast_return"]).to_numpy() for run in runs]
    bound = max(float(np.quantile(np.abs(run_errors), 0.995)) for run_errors in errors) or 1.0
    edges = np.linspace(-bound, bound, 61)
    middles = numbers((edges[1:] + edges[:-1]) / 2)
    data = []
    for run, run_errors in zip(runs, errors, strict=True):
        counts, _ = np.histogram(run_errors, edges)
        shares = numbers(100 * counts / len(run_errors))
        data.append(line(run.name, middles, shares, colours[run.run_id], line={"shape": "hvh"}))
    return {
        "data": data,
        "layout": {
            "xaxis": {"title": {"text": "residual, % of price"}},
            "yaxis": {"title": {"text": "% of forecasts"}, "rangemode": "tozero"},
        },
    }


def _over_time(runs: Sequence[ComparedRun], colours: Mapping[str, str]) -> dict[str, Any]:
    data = []
    for run in runs:
        rows = _rows(run)
        parts = _periods(len(rows))
        error = (rows["actual_price"] - rows["forecast_price"]).to_numpy()
        baseline = (rows["actual_price"] - rows["price_now"]).to_numpy()
        skills = [100 * skill_score(root_mean_square(error[part]), root_mean_square(baseline[part])) for part in parts]
        starts = times(rows.index[[part[0] for part in parts]])
        data.append(line(run.name, starts, numbers(skills), colours[run.run_id], mode="lines+markers"))
    return {"data": data, "layout": {"yaxis": {"title": {"text": "skill %"}, "zerolinewidth": 2}}}


def _coverage(runs: Sequence[ComparedRun], colours: Mapping[str, str]) -> dict[str, Any]:
    data = []
    for run in runs:
        rows = _rows(run)
        inside = rows["actual_price"].between(rows["lower_price"], rows["upper_price"]).to_numpy()
        parts = _periods(len(rows))
        data.append(
            line(
                run.name,
                times(rows.index[[part[0] for part in parts]]),
                numbers(100 * inside[part].mean() for part in parts),
                colours[run.run_id],
                mode="lines+markers",
            )
        )
    levels = {float(run.params["interval_level"]) for run in runs if "interval_level" in run.params}
    nominal = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": 100 * level,
            "y1": 100 * level,
            "line": {"dash": "dash"},
        }
        for level in sorted(levels)
    ]
    return {"data": data, "layout": {"yaxis": {"title": {"text": "coverage %"}}, "shapes": nominal}}


def _importance(runs: Sequence[ComparedRun], colours: Mapping[str, str]) -> dict[str, Any]:
    shown = [run for run in runs if _shares(run)]
    names = {name for run in shown for name in _shares(run)}
    means = {name: sum(_shares(run).get(name, 0.0) for run in shown) / len(shown) for name in names}
    top = sorted(means, key=lambda name: (-means[name], name))[:FEATURES_SHOWN][::-1]
    data = [
        {
            "type": "bar", "orientation": "h", "name": run.name, "y": top, "marker": {"color": colours[run.run_id]},
            "x": numbers(100 * _shares(run).get(name, 0.0) for name in top),
        }
        for run in shown
    ]  # fmt: skip
    height = max(420, 24 * len(top) + 10 * len(top) * len(shown))
    return {
        "data": data,
        "layout": {
            "barmode": "group", "height": height, "xaxis": {"title": {"text": "share, %"}},
            "yaxis": {"automargin": True},
        },
    }  # fmt: skip


def _folds(runs: Sequence[ComparedRun], colours: Mapping[str, str]) -> dict[str, Any]:
    data = []
    for run in runs:
        if run.details and run.details.folds and not run.is_baseline:
            skills = numbers(100 * skill_score(fold["rmse"], fold["baseline_rmse"]) for fold in run.details.folds)
            labels = [f"fold {fold['fold']}" for fold in run.details.folds]
            data.append(line(run.name, labels, skills, colours[run.run_id], mode="lines+markers"))
    return {"data": data, "layout": {"yaxis": {"title": {"text": "skill %"}, "zerolinewidth": 2}}}


def _parallel(runs: Sequence[ComparedRun]) -> dict[str, Any]:
    values = {run.run_id: shown_values(run) for run in runs}
    names = [
        metric.name for metric in table_metrics()
        if len({by_metric[metric.name] for by_metric in values.values()} - {None}) > 1
    ]  # fmt: skip
    # A line needs a value on each axis; persistence has no skill, so it has no line.
    complete = [by_metric for by_metric in values.values() if all(by_metric[name] is not None for name in names)]
    titles = {metric.name: metric.title for metric in table_metrics()}
    axes = [{"label": titles[name], "values": [by_metric[name] for by_metric in complete]} for name in names]
    scores = [by_metric["cv_rmse_mean"] or 0.0 for by_metric in complete]
    line = {"color": scores, "colorscale": [[0, "#0072B2"], [1, "#E69F00"]], "showscale": False}
    return {
        "data": [{"type": "parcoords", "dimensions": axes, "line": line}],
        "layout": {"margin": {"t": 60, "l": 70, "r": 60, "b": 30}},
    }


def _periods(length: int) -> list[Any]:
    """Return the positions of consecutive periods of about equal length."""
    import numpy as np

    return np.array_split(np.arange(length), min(PERIODS, max(1, length // 20)))


def _rows(run: ComparedRun) -> pd.DataFrame:
    assert run.details is not None
    rows = run.details.holdout()
    # Of a pool, the charts show one market, the same one for each model.
    return rows[rows["symbol"] == rows["symbol"].min()] if "symbol" in rows else rows
