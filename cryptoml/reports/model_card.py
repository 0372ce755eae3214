"""The model card of a version as tables and sentences, shared by the terminal and the HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptoml.evaluation.figures import NO_VALUE
from cryptoml.evaluation.metrics import stored_metrics
from cryptoml.reports.page import Image, PageSection
from cryptoml.reports.tables import Column

# The captions of the stored plots, in the order of the page.
PLOTS = {
    "actual_vs_predicted": "Actual and forecast price on the hold-out",
    "prediction_intervals": "Coverage of the prediction interval, over time and by volatility",
    "residuals": "Residuals on the hold-out",
    "feature_importance": "Importance of the features",
    "fold_scores": "Scores of the folds, in time order",
}
# The main results, shown first and on the terminal.
MAIN = (
    "skill", "dm_p_value_adjusted", "dm_p_value_holdout", "directional_accuracy", "cv_rmse_mean", "test_rmse",
    "baseline_rmse", "interval_coverage", "interval_skill", "coverage_p_value", "shrinkage",
)  # fmt: skip


@dataclass(frozen=True)
class CardFigure:
    """A stored metric and its standard error, NaN if unknown; in the unit in which it is stored."""

    name: str
    value: float
    error: float


def figure_columns(figures: Sequence[CardFigure], *, only_main: bool) -> list[Column]:
    """Return the table of results, with standard errors; the main ones first."""
    by_name = {one.name: one for one in figures}
    names = [name for name in MAIN if name in by_name]
    if not only_main:
        names += [name for name in by_name if name not in names]
    metrics = stored_metrics()
    rows = [by_name[name] for name in names]
    return [
        Column("metric", [metrics[name].title for name in names], align="left"),
        Column("value", [metrics[one.name].text(one.value) for one in rows]),
        Column("± standard error", [_error(one) for one in rows]),
    ]


def fold_columns(folds: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return one row per fold; empty without folds."""
    if not folds:
        return []
    skills = [_skill(fold) for fold in folds]
    return [
        Column("fold", [str(fold["fold"]) for fold in folds]),
        Column("trained until", [_day(fold["train"][1]) for fold in folds], align="left"),
        Column("validated until", [_day(fold["validation"][1]) for fold in folds], align="left"),
        Column("rows", [f"{fold['n_validation']:,}" for fold in folds]),
        Column("shrinkage", [f"{fold['shrinkage']:.3f}" for fold in folds]),
        Column("skill %", [f"{100 * value:+.3f}" if math.isfinite(value) else NO_VALUE for value in skills]),
    ]


def ledger_columns(ledger: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return one row per transition or refusal; empty without any."""
    if not ledger:
        return []
    return [
        Column("time", [str(entry["time"])[:16].replace("T", " ") for entry in ledger], align="left"),
        Column("kind", [str(entry["kind"]) for entry in ledger], align="left"),
        Column("from", [str(entry["from_stage"]) for entry in ledger], align="left"),
        Column("to", [str(entry["to_stage"]) for entry in ledger], align="left"),
        Column("by", [str(entry["who"]) for entry in ledger], align="left"),
        Column("reason", [str(entry["reason"]) for entry in ledger], align="left", shrinks=True),
    ]


def loading_code(model_uri: str, tracking_uri: str, model_name: str, version: str) -> str:
    """Return how to load the model: with the command line, and with mlflow in Python."""
    return (
        f"cryptoml predict --model {model_name}@v{version}\n\n"
        "import mlflow\n"
        f'mlflow.set_tracking_uri("{tracking_uri}")\n'
        f'model = mlflow.pyfunc.load_model("{model_uri}")\n'
        "model.predict(candles)  # a table with timestamp, open, high, low, close, volume\n"
    )


def card_sections(
    document: Mapping[str, Any], figures: Sequence[CardFigure], metadata: Mapping[str, Any], plots: Mapping[str, bytes],
    *, tracking_uri: str,
) -> list[PageSection]:  # fmt: skip
    """Return the sections of the page; document: the card's `to_dict`."""
    code = loading_code(document["model_uri"], tracking_uri, document["model_name"], document["version"])
    images = [Image(plots[name], caption) for name, caption in PLOTS.items() if name in plots]
    images += [Image(png, name.replace("_", " ")) for name, png in plots.items() if name not in PLOTS]
    params = sorted((metadata.get("params") or {}).items())
    return [
        PageSection("Description", [document["description"]]),
        PageSection("Data", data_sentences(document, metadata)),
        PageSection("Results", [RESULTS], figure_columns(figures, only_main=True)),
        PageSection("Plots", images=images),
        PageSection("Folds", columns=fold_columns(metadata.get("folds", ()))),
        PageSection("Gate", [_gate(document["gate"])]),
        PageSection(
            "Ledger",
            [] if document["ledger"] else ["The version has never been moved."],
            ledger_columns(document["ledger"]),
        ),
        PageSection(
            "Parameters",
            columns=[
                Column("parameter", [str(name) for name, _ in params], align="left"),
                Column("value", [str(value) for _, value in params]),
            ]
            if params
            else [],
        ),
        PageSection("All metrics", columns=figure_columns(figures, only_main=False)),
        PageSection("Loading the model", code=code),
    ]


RESULTS = (
    "On the hold-out, which neither the fits nor the choice of the model used; cv and folds: on the folds. Standard "
    "errors allow for overlapping forecasts."
)


def data_sentences(document: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[str]:
    """Return what the version was trained and tested on."""
    lines = [f"Data set {document['dataset_version']}."]
    if document["train"] and document["holdout"]:
        train, holdout = document["train"], document["holdout"]
        lines.append(
            f"Trained on {_day(train[0])} to {_day(train[1])}, tested on {_day(holdout[0])} to {_day(holdout[1])} "
            f"(UTC), {len(metadata.get('features', ()))} features."
        )
    quality = metadata.get("quality_report") or {}
    if quality.get("candles"):
        missing = quality.get("missing_candles", 0)
        lines.append(f"{quality['source']}: {quality['candles']:,} candles, {missing:,} missing.")
    return lines


def _gate(text: str) -> str:
    return "The gate was passed." if text == "passed" else text or "The gate was not asked."


def _error(one: CardFigure) -> str:
    metric = stored_metrics()[one.name]
    return metric.text(one.error).lstrip("+") if math.isfinite(one.error) else ""


def _skill(fold: Mapping[str, Any]) -> float:
    base = float(fold["baseline_rmse"])
    return 1 - float(fold["rmse"]) / base if base > 0 else math.nan


def _day(text: object) -> str:
    return str(text)[:10]
