"""The plot of backtests: capital and drawdown of each model and of buying and holding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.reports import style
from cryptoml.reports.comparison_charts import COLOURS

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.evaluation.comparison import RunComparison


def draw_backtests(comparison: RunComparison, path: Path, *, subtitle: str) -> None:
    """Write the plot of the backtests of a comparison to a PNG file."""
    from cryptoml.reports.backtests import HOLD
    from cryptoml.system.files import translate_os_errors

    figure = style.canvas()
    style.heading(figure, "Backtest on the hold-out", subtitle)
    grid = figure.add_gridspec(2, 1, top=0.86, bottom=0.07, left=0.065, right=0.97, hspace=0.4, height_ratios=(2, 1))
    capital = style.panel(
        figure, grid[0], "Capital", note="1 at the start; net of fees and slippage; logarithmic", y="capital"
    )
    falls = style.panel(figure, grid[1], "Drawdown", note="below the highest capital so far", y="drawdown, %")
    tests = comparison.backtests
    names = {run.run_id: run.name for run in comparison.runs}
    lines = [(HOLD, next(iter(tests.values())).buy_and_hold, style.QUIET)]
    lines += [
        (names[run_id], test.equity, COLOURS[place % len(COLOURS)])
        for place, (run_id, test) in enumerate(tests.items())
    ]
    for name, equity, colour in lines:
        _line(capital, falls, name, equity, colour)
    capital.set_yscale("log")
    capital.yaxis.set_major_formatter("{x:.2f}")
    capital.yaxis.set_minor_formatter("{x:.2f}")
    style.legend_above(capital, min(len(lines), 5))
    for axes in (capital, falls):
        axes.margins(x=0.01)
        style.date_axis(axes)
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png")


def _line(capital: object, falls: object, name: str, equity: pd.Series[float], colour: str) -> None:
    shown = style.thin(len(equity))
    when = style.times(equity.index)[shown]
    capital.plot(when, equity.to_numpy()[shown], color=colour, lw=1.4, label=name)  # type: ignore[attr-defined]
    fall = 100 * (equity / equity.cummax() - 1).to_numpy()
    falls.plot(when, fall[shown], color=colour, lw=1.0)  # type: ignore[attr-defined]
