"""The tables of runs as columns of text, shared by the terminal and the HTML report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from cryptoml.evaluation.figures import cell, p_value
from cryptoml.evaluation.metrics import table_metrics
from cryptoml.evaluation.stored_metric import StoredMetric

if TYPE_CHECKING:
    from cryptoml.evaluation.comparison import RunComparison

Row = TypeVar("Row")
VERDICT_TITLE = "vs persistence"


@dataclass(frozen=True)
class Column:
    """A column of text. values: the numbers to sort by, if the cells are numbers.

    best: indices of the rows with the best value. rank: 0 is always shown; otherwise columns of the highest rank are
    hidden first. shrinks: whether long texts may be shortened.
    """

    title: str
    cells: Sequence[str]
    values: Sequence[float | None] | None = None
    best: Collection[int] = field(default_factory=frozenset)
    rank: int = 0
    align: Literal["left", "right"] = "right"
    shrinks: bool = False


def metric_columns(
    rows: Sequence[Row],
    *,
    value: Callable[[Row, StoredMetric], float | None],
    verdict: Callable[[Row], str],
    best: Callable[[Row, StoredMetric], bool] = lambda row, metric: False,
) -> list[Column]:
    """Return a column for each metric in tables, and the verdict before its p-value."""
    columns = []
    for metric in table_metrics():
        if metric.name == "dm_p_value_adjusted":
            columns.append(Column(VERDICT_TITLE, [verdict(row) for row in rows], rank=2))
        values = [value(row, metric) for row in rows]
        columns.append(
            Column(
                metric.title,
                [metric.text(number) for number in values],
                [None if number is None else metric.scaled(number) for number in values],
                frozenset(index for index, row in enumerate(rows) if best(row, metric)),
                metric.column or 0,
            )
        )
    return columns


def run_columns(comparison: RunComparison) -> list[Column]:
    """Return the columns of the compared runs; ≠ marks runs that are not comparable."""
    rows = comparison.runs
    return [
        Column("run", [row.name if row.comparable else f"≠ {row.name}" for row in rows], align="left", shrinks=True),
        Column("model", [row.model_type for row in rows], rank=12, align="left"),
        *metric_columns(
            rows,
            value=lambda row, metric: row.value(metric),
            verdict=lambda row: row.verdict,
            best=lambda row, metric: row.run_id in comparison.best.get(metric.name, ()),
        ),
        Column("registered", [", ".join(row.places) for row in rows], rank=3),
    ]


def parameter_columns(comparison: RunComparison) -> list[Column]:
    """Return the differing parameters, one per row, with a column per run; empty if none differ."""
    names = list(comparison.differing)
    if not names:
        return []
    runs = [row for row in comparison.runs if any(row.run_id in comparison.differing[name] for name in names)]
    return [
        Column("parameter", names, align="left"),
        *(Column(row.name, [comparison.differing[name].get(row.run_id, "") for name in names]) for row in runs),
    ]


def pair_columns(comparison: RunComparison, *, most: int | None = None) -> list[Column]:
    """Return the first `most` pairs of models with their test results; empty without pairs."""
    pairs = comparison.pairs[:most]
    if not pairs:
        return []
    gains, p_values, adjusted = [[getattr(pair, name) for pair in pairs] for name in ("gain", "p_value", "p_adjusted")]
    return [
        Column("lower error", [pair.better for pair in pairs], align="left", shrinks=True),
        Column("than", [pair.other for pair in pairs], align="left", shrinks=True),
        Column("RMSE lower by %", [cell(100 * gain, ".3f") for gain in gains], gains, rank=2),
        Column("forecasts", [f"{pair.n:,}" for pair in pairs], [pair.n for pair in pairs], rank=4),
        Column("p", [p_value(p) for p in p_values], p_values, rank=3),
        Column("p (Holm)", [p_value(p) for p in adjusted], adjusted),
        Column("significant", ["yes" if p < comparison.level else "no" for p in adjusted]),
    ]
