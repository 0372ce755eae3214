"""The interval plot: coverage on the hold-out over time and by volatility, width, expected and actual size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cryptoml.reports import style
from cryptoml.reports.forecast_plot import MADE_AT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

PERIODS, GROUPS, LEAST = 24, 10, 30


def intervals(holdout: pd.DataFrame, *, level: float) -> Figure:
    """Plot the prediction interval with nominal coverage `level` (columns as in `draw_all`; no NaN), in four panels."""
    figure = style.canvas()
    grid = figure.add_gridspec(2, 2, top=0.855, bottom=0.07, left=0.065, right=0.97, hspace=0.45, wspace=0.19)
    inside = holdout["actual_price"].between(holdout["lower_price"], holdout["upper_price"]).to_numpy()
    _over_time(figure, grid[0, 0], holdout, inside, level)
    _by_size(figure, grid[0, 1], holdout, inside, level)
    _width(figure, grid[1, 0], holdout)
    _calibration(figure, grid[1, 1], holdout)
    return figure


def _over_time(figure: Figure, cell: object, holdout: pd.DataFrame, inside: NDArray[np.bool_], level: float) -> None:
    import numpy as np

    axes = style.panel(
        figure, cell, "Coverage over time",
        note=f"all: {100 * inside.mean():.1f} %; bars: range expected by chance for {100 * level:g} %",
        x=MADE_AT, y="share inside the interval, %",
    )  # fmt: skip
    when = style.times(holdout.index)
    parts = np.array_split(np.arange(len(inside)), max(1, min(PERIODS, len(inside) // LEAST)))
    _coverage(axes, [float(np.mean(when[part])) for part in parts], [inside[part] for part in parts], level)
    style.date_axis(axes)


def _by_size(figure: Figure, cell: object, holdout: pd.DataFrame, inside: NDArray[np.bool_], level: float) -> None:
    groups = _groups(holdout)
    axes = style.panel(
        figure, cell, "Coverage by expected size of the return",
        note="equal numbers of forecasts, from the calmest to the wildest",
        x="group, by expected size of the return", y="share inside the interval, %",
    )  # fmt: skip
    places = list(range(1, len(groups) + 1))
    _coverage(axes, [float(place) for place in places], [inside[group] for group in groups], level)
    axes.set_xticks(places)


def _coverage(axes: Axes, places: list[float], parts: list[NDArray[np.bool_]], level: float) -> None:
    """Plot the coverage of each part, with the range of 95 % of coverages that are nominal."""
    shares = [100 * float(part.mean()) for part in parts]
    ranges = [196 * math.sqrt(level * (1 - level) / len(part)) for part in parts]
    axes.errorbar(
        places, [100 * level] * len(parts), yerr=ranges, fmt="none", ecolor=style.FAINT, elinewidth=7, zorder=1
    )
    axes.axhline(100 * level, color=style.QUIET, lw=1, label="nominal")
    axes.plot(places, shares, "o-", color=style.FORECAST, ms=5, lw=1, zorder=3, label="actual")
    axes.set_ylim(min(*shares, 100 * level - 12, 100.0) - 2, 100.5)
    style.legend(axes, loc="lower right", ncol=2)


def _width(figure: Figure, cell: object, holdout: pd.DataFrame) -> None:
    import numpy as np

    axes = style.panel(
        figure, cell, "Interval and returns", note="of the return over the horizon",
        x=MADE_AT, y="return, %",
    )  # fmt: skip
    shown = style.thin(len(holdout))
    part = holdout.iloc[shown]
    when = style.times(part.index)
    now = part["price_now"].to_numpy()
    lower, upper = (100 * np.log(part[name].to_numpy() / now) for name in ("lower_price", "upper_price"))
    axes.fill_between(when, lower, upper, color=style.FORECAST, alpha=0.3, lw=0, label="interval")
    axes.plot(when, 100 * part["actual_return"].to_numpy(), "o", ms=1.6, alpha=0.5, color=style.ACTUAL, mew=0,
              label="actual return")  # fmt: skip
    edge = style.axis_limit(100 * part["actual_return"].to_numpy(), 0.998)
    axes.set_ylim(-edge, edge)
    axes.margins(x=0.01)
    style.legend_above(axes, 2)
    style.date_axis(axes)


def _calibration(figure: Figure, cell: object, holdout: pd.DataFrame) -> None:
    import numpy as np

    axes = style.panel(
        figure, cell, "Expected and actual size of the return",
        note="mean absolute return of the groups above; ideally on the dashed line",
        x="expected size, %", y="actual size, %",
    )  # fmt: skip
    expected = 100 * holdout["expected_size"].to_numpy()
    actual = 100 * np.abs(holdout["actual_return"].to_numpy())
    groups = _groups(holdout)
    means = np.array([(expected[group].mean(), actual[group].mean()) for group in groups])
    errors = [1.96 * actual[group].std() / math.sqrt(len(group)) for group in groups]
    axes.errorbar(means[:, 0], means[:, 1], yerr=errors, fmt="o", color=style.FORECAST, ms=5, elinewidth=1)
    edge = 1.05 * float(means.max()) or 1.0
    axes.plot([0, edge], [0, edge], ls="--", lw=1, color=style.QUIET)
    axes.set_xlim(0, edge)
    axes.set_ylim(0, 1.1 * edge)


def _groups(holdout: pd.DataFrame) -> list[NDArray[np.intp]]:
    """Return the positions of equally many forecasts by ascending expected size of the return."""
    import numpy as np

    order = np.argsort(holdout["expected_size"].to_numpy(), kind="stable")
    return np.array_split(order, max(1, min(GROUPS, len(order) // LEAST)))
