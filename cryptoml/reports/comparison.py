"""The comparison of runs as one HTML file that needs no network: tables, and charts that Plotly draws."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Okabe and Ito (2008): told apart by people who see fewer colours, too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A7B00", "#7F3C8D", "#4D4D4D")
BASELINE_COLOUR = "#999999"
NEWEST_SHOWN = 300
PERIODS = 40
FEATURES_SHOWN = 15


@dataclass(frozen=True)
class ReportRun:
    """A run as the report shows it.

    cells: the texts of the table; values: the numbers it is sorted by (None where there is none); best: the
    columns where it is the best. metrics: what the charts show, in the units of their titles. holdout: forecasts
    as in `ModelResult.predictions`, or None; folds as in training_metadata.json; importance: feature -> share.
    """

    name: str
    is_baseline: bool
    comparable: bool
    cells: Sequence[str]
    values: Sequence[float | str | None]
    best: frozenset[int]
    metrics: Mapping[str, float]
    holdout: pd.DataFrame | None
    folds: Sequence[Mapping[str, Any]]
    importance: Mapping[str, float]


@dataclass(frozen=True)
class Section:
    """A chart: what it shows, and how to read it."""

    key: str
    title: str
    caption: str
    figure: Mapping[str, Any]


def render(
    *,
    title: str,
    subtitle: str,
    columns: Sequence[str],
    runs: Sequence[ReportRun],
    differing: Sequence[Sequence[str]],
    pairs: Sequence[Sequence[str]],
    notes: Sequence[str],
    metric_titles: Mapping[str, str],
) -> str:
    """The whole page. differing and pairs are tables whose first row is the heading, or empty."""
    from importlib.resources import files

    import jinja2
    import plotly

    here = files("cryptoml.reports")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(here.joinpath("comparison.html.j2").read_text(encoding="utf-8"))
    sections = charts(runs, metric_titles)
    found = {
        "figures": {section.key: section.figure for section in sections},
        "metrics": {
            "titles": dict(metric_titles),
            "runs": [
                {
                    "name": run.name,
                    "colour": colour,
                    "values": {name: _number(run.metrics.get(name)) for name in metric_titles},
                }
                for run, colour in zip(runs, _colours(runs), strict=True)
            ],
        },
    }
    return template.render(
        title=title,
        subtitle=subtitle,
        columns=columns,
        runs=runs,
        differing=differing,
        pairs=pairs,
        notes=notes,
        sections=sections,
        metric_titles=metric_titles,
        # A "<" could end the script element in the middle of a text.
        data=json.dumps(found, allow_nan=False).replace("<", "\\u003c"),
        plotly=files(plotly).joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8"),
        script=here.joinpath("comparison.js").read_text(encoding="utf-8"),
    )


def charts(runs: Sequence[ReportRun], metric_titles: Mapping[str, str]) -> list[Section]:
    """Every chart that there is something to show in."""
    colours = dict(zip((run.name for run in runs), _colours(runs), strict=True))
    told = [run for run in runs if run.holdout is not None and len(run.holdout)]
    models = [run for run in told if not run.is_baseline]
    sections = []
    if told:
        sections.append(
            Section(
                "forecast",
                "Forecast against truth",
                f"The newest {NEWEST_SHOWN} candles of the hold-out. A forecast that only follows the price one "
                "candle late is persistence: look at where the lines part.",
                _forecast(told, colours),
            )
        )
    if models:
        sections += [
            Section(
                "residuals", "Residuals",
                "Actual minus forecast log return on the hold-out, in percent: the narrower around zero the better.",
                _residuals(told, colours),
            ),
            Section(
                "time", "Error over time",
                "Skill by period of the hold-out: how much smaller the RMSE is than that of persistence. "
                "A good model is above zero most of the time, not in one lucky week.",
                _over_time(models, colours),
            ),
        ]  # fmt: skip
    if any(run.importance for run in runs):
        sections.append(
            Section(
                "importance", "Feature importance",
                "The share that each model gives to a feature; impurity, gain or coefficient, by the kind of model.",
                _importance(runs, colours),
            )
        )  # fmt: skip
    if any(run.folds for run in runs):
        sections.append(
            Section(
                "folds", "Fold scores",
                "Skill in each fold of the cross-validation, the earliest first.",
                _folds(runs, colours),
            )
        )  # fmt: skip
    scored = [run for run in runs if run.comparable and run.metrics]
    if len(scored) > 1:
        sections.append(
            Section(
                "parallel", "All metrics at once",
                "One line a run; drag along an axis to keep only the runs in that range.",
                _parallel(scored, metric_titles),
            )
        )  # fmt: skip
    return sections


def _colours(runs: Sequence[ReportRun]) -> list[str]:
    found, count = [], 0
    for run in runs:
        found.append(BASELINE_COLOUR if run.is_baseline else COLOURS[count % len(COLOURS)])
        count += not run.is_baseline
    return found


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _floats(values: Any) -> list[float | None]:
    return [_number(float(value)) for value in values]


def _times(index: pd.Index) -> list[str]:
    return [f"{time:%Y-%m-%d %H:%M}" for time in index]


def _line(name: str, x: Sequence[Any], y: Sequence[float | None], colour: str, **more: Any) -> dict[str, Any]:
    line = {"color": colour, "width": 1.6, **more.pop("line", {})}
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": line, **more}


def _forecast(runs: Sequence[ReportRun], colours: Mapping[str, str]) -> dict[str, Any]:
    truth = _rows(runs[0]).tail(NEWEST_SHOWN)
    data = [_line("truth", _times(truth.index), _floats(truth["actual_price"]), "#000000", line={"width": 2.2})]
    for run in runs:
        rows = _rows(run).tail(NEWEST_SHOWN)
        data.append(_line(run.name, _times(rows.index), _floats(rows["forecast_price"]), colours[run.name]))
    return {"data": data, "layout": {"yaxis": {"title": {"text": "price"}}, "hovermode": "x unified"}}


def _residuals(runs: Sequence[ReportRun], colours: Mapping[str, str]) -> dict[str, Any]:
    import numpy as np

    errors = {run.name: 100 * (_rows(run)["actual_return"] - _rows(run)["forecast_return"]).to_numpy() for run in runs}
    bound = max(float(np.quantile(np.abs(one), 0.995)) for one in errors.values()) or 1.0
    edges = np.linspace(-bound, bound, 61)
    middles = _floats((edges[1:] + edges[:-1]) / 2)
    data = []
    for name, one in errors.items():
        counts, _ = np.histogram(one, edges)
        shares = _floats(100 * counts / len(one))
        data.append(_line(name, middles, shares, colours[name], line={"shape": "hvh"}))
    return {
        "data": data,
        "layout": {
            "xaxis": {"title": {"text": "residual, % of price"}},
            "yaxis": {"title": {"text": "% of forecasts"}, "rangemode": "tozero"},
        },
    }


def _over_time(runs: Sequence[ReportRun], colours: Mapping[str, str]) -> dict[str, Any]:
    import numpy as np

    data = []
    for run in runs:
        rows = _rows(run)
        parts = np.array_split(np.arange(len(rows)), min(PERIODS, max(1, len(rows) // 20)))
        actual, forecast = rows["actual_return"].to_numpy(), rows["forecast_return"].to_numpy()
        skills = [_skill(actual[part], forecast[part]) for part in parts]
        data.append(_line(run.name, _times(rows.index[[part[0] for part in parts]]), skills, colours[run.name],
                          mode="lines+markers"))  # fmt: skip
    return {"data": data, "layout": {"yaxis": {"title": {"text": "skill %"}, "zerolinewidth": 2}}}


def _skill(actual: Any, forecast: Any) -> float | None:
    import numpy as np

    baseline = float(np.sqrt(np.mean(actual**2)))
    return _number(100 * (1 - float(np.sqrt(np.mean((actual - forecast) ** 2))) / baseline)) if baseline else None


def _importance(runs: Sequence[ReportRun], colours: Mapping[str, str]) -> dict[str, Any]:
    shown = [run for run in runs if run.importance]
    names = {name for run in shown for name in run.importance}
    means = {name: sum(run.importance.get(name, 0.0) for run in shown) / len(shown) for name in names}
    top = sorted(means, key=lambda name: (-means[name], name))[:FEATURES_SHOWN][::-1]
    data = [
        {
            "type": "bar", "orientation": "h", "name": run.name, "y": top, "marker": {"color": colours[run.name]},
            "x": _floats(100 * run.importance.get(name, 0.0) for name in top),
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


def _folds(runs: Sequence[ReportRun], colours: Mapping[str, str]) -> dict[str, Any]:
    data = []
    for run in runs:
        if run.folds and not run.is_baseline:
            skills = _floats(100 * (1 - fold["rmse"] / fold["baseline_rmse"]) for fold in run.folds)
            labels = [f"fold {fold['fold']}" for fold in run.folds]
            data.append(_line(run.name, labels, skills, colours[run.name], mode="lines+markers"))
    return {"data": data, "layout": {"yaxis": {"title": {"text": "skill %"}, "zerolinewidth": 2}}}


def _parallel(runs: Sequence[ReportRun], metric_titles: Mapping[str, str]) -> dict[str, Any]:
    names = [name for name in metric_titles if len({_number(run.metrics.get(name)) for run in runs} - {None}) > 1]
    whole = [run for run in runs if all(_number(run.metrics.get(name)) is not None for name in names)]
    # Persistence has no skill and no direction; it would have no line.
    axes = [{"label": metric_titles[name], "values": [run.metrics[name] for run in whole]} for name in names]
    scores = [run.metrics.get("cv_rmse_mean", 0.0) for run in whole]
    line = {"color": scores, "colorscale": [[0, "#0072B2"], [1, "#E69F00"]], "showscale": False}
    return {
        "data": [{"type": "parcoords", "dimensions": axes, "line": line}],
        "layout": {"margin": {"t": 60, "l": 70, "r": 60, "b": 30}},
    }


def _rows(run: ReportRun) -> pd.DataFrame:
    assert run.holdout is not None
    return run.holdout
