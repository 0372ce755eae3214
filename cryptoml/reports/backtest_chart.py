"""The chart of backtests in the comparison report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryptoml.reports.backtests import HOLD
from cryptoml.reports.comparison_charts import BASELINE_COLOUR, Section, colours_of, line, numbers, times

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.evaluation.comparison import RunComparison

POINTS = 800


def backtest_section(comparison: RunComparison, rules: str) -> Section | None:
    """Return the chart of the capital of each backtest; None without backtests."""
    from cryptoml.reports.style import thin

    tests = comparison.backtests
    if not tests:
        return None
    colours = colours_of(comparison.runs)
    names = {run.run_id: run.name for run in comparison.runs}

    def curve(name: str, equity: pd.Series[float], colour: str) -> dict[str, object]:
        shown = equity.iloc[thin(len(equity), POINTS)]
        return line(name, times(shown.index), numbers(shown), colour)

    data: Sequence[object] = [
        curve(HOLD, next(iter(tests.values())).buy_and_hold, BASELINE_COLOUR),
        *(curve(names[run_id], test.equity, colours[run_id]) for run_id, test in tests.items()),
    ]
    caption = f"Capital on the hold-out after costs, 1 at the start. Trades on {rules}."
    layout = {"yaxis": {"title": {"text": "capital"}, "type": "log"}, "hovermode": "x unified"}
    return Section("backtest", "Backtest", caption, {"data": data, "layout": layout})
