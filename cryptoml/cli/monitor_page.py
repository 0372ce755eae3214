"""The HTML report of `cryptoml monitor`: all versions over time, with the transitions between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptoml.reports.monitor_plot import Event, draw_history
from cryptoml.reports.page import Image, PageSection, render_page
from cryptoml.reports.tables import Column

if TYPE_CHECKING:
    from cryptoml.workflows.monitor import History, MonitorResult

CAPTION = (
    "Forecast and actual price; reduction of the squared error against persistence, summed up for each version; "
    "coverage of the prediction interval with the range expected by chance. Vertical lines: transitions of versions."
)


def monitor_page(result: MonitorResult) -> str:
    """Return the report as HTML; `result.history` must be there."""
    history = result.history
    assert history is not None
    scores = result.scores
    return render_page(
        f"Monitoring of {result.model}",
        f"{scores.n:,} forecasts from {scores.start} to {scores.end} UTC, candles of {result.source}",
        [
            PageSection("Versions", columns=_version_columns(history)),
            PageSection("Over time", images=[Image(draw_history(history.rows, _events(history)), CAPTION)]),
            PageSection(
                "Transitions",
                [] if history.ledger else ["No version has been moved."],
                _ledger_columns(history) if history.ledger else [],
            ),
            _drift(result),
        ],
        notes=[*result.warnings, *result.next_steps],
    )


def _version_columns(history: History) -> list[Column]:
    from cryptoml.evaluation.figures import p_value

    rows = list(history.by_version.values())
    return [
        Column("version", list(history.by_version), align="left"),
        Column("from", [one.start for one in rows], align="left"),
        Column("to", [one.end for one in rows], align="left"),
        Column("forecasts", [f"{one.n:,}" for one in rows]),
        Column("skill %", [_pair(one.skill, one.skill_error, ".3f", sign="+") for one in rows]),
        Column("p", [p_value(one.p_value) for one in rows]),
        Column("coverage %", [_pair(one.covered, one.coverage_error, ".1f") for one in rows]),
        Column("nominal %", [f"{100 * one.interval_level:g}" for one in rows]),
    ]


def _pair(share: float, error: float, fmt: str, *, sign: str = "") -> str:
    from cryptoml.evaluation.figures import cell

    return f"{cell(100 * share, sign + fmt)} ± {cell(100 * error, fmt)}"


def _events(history: History) -> list[Event]:
    import pandas as pd

    shown = ("production", "archived")
    return [
        Event(pd.Timestamp(entry.time), f"v{entry.version} {entry.kind if entry.refused else entry.to_stage}")
        for entry in history.ledger
        if entry.to_stage in shown
    ]


def _ledger_columns(history: History) -> list[Column]:
    entries = history.ledger
    return [
        Column("time", [entry.time[:16].replace("T", " ") for entry in entries], align="left"),
        Column("version", [f"v{entry.version}" for entry in entries], align="left"),
        Column("kind", [entry.kind for entry in entries], align="left"),
        Column("to", [entry.to_stage for entry in entries], align="left"),
        Column("by", [entry.who for entry in entries], align="left"),
        Column("reason", [entry.reason for entry in entries], align="left"),
    ]


def _drift(result: MonitorResult) -> PageSection:
    title = "Drift of features"
    if result.drift is None:
        return PageSection(title, ["Not checked: the model has no scaler to compare with."])
    if not result.drift:
        return PageSection(title, ["No feature has drifted."])
    return PageSection(
        title,
        columns=[
            Column("feature", [one.feature for one in result.drift], align="left"),
            Column("shift, training standard deviations", [f"{one.shift:+.2f}" for one in result.drift]),
        ],
    )
