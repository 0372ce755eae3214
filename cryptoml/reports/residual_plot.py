"""The residual plot: errors of the forecast return on the hold-out over time, distribution and autocorrelation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cryptoml.reports import style
from cryptoml.reports.forecast_plot import MADE_AT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

BUCKETS, DOTS, MAX_LAGS, TAIL_SIGMAS = 150, 300, 48, 6
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ERROR = "error of the return, bp"


def residuals(holdout: pd.DataFrame) -> Figure:
    """Plot actual minus forecast return, in basis points (columns as in `draw_all`; no NaN), in four panels."""
    figure = style.canvas()
    grid = figure.add_gridspec(2, 2, top=0.855, bottom=0.07, left=0.065, right=0.945, hspace=0.45, wspace=0.19)
    errors = style.basis_points(holdout["actual_return"]) - style.basis_points(holdout["forecast_return"])
    _over_time(figure, grid[0, 0], holdout, errors)
    _distribution(figure, grid[0, 1], errors)
    _autocorrelation(figure, grid[1, 0], errors)
    _by_hour(figure, grid[1, 1], holdout, errors)
    return figure


def _over_time(figure: Figure, cell: object, holdout: pd.DataFrame, errors: np.ndarray) -> None:
    import numpy as np

    when = style.times(holdout.index)
    many = len(errors) > style.MOST_POINTS
    axes = style.panel(
        figure, cell, "Over time",
        note=f"dots: the {DOTS} largest errors; bands: the others" if many else "one dot per forecast",
        x=MADE_AT, y=ERROR,
    )  # fmt: skip
    shown = np.arange(len(errors))
    if many:
        shown = np.sort(np.argpartition(np.abs(errors), -DOTS)[-DOTS:])
        parts = np.array_split(np.arange(len(errors)), BUCKETS)
        middle = [when[part[len(part) // 2]] for part in parts]
        levels = np.array([np.quantile(errors[part], (0.05, 0.25, 0.5, 0.75, 0.95)) for part in parts]).T
        for low, high, alpha, label in ((0, 4, 0.25, "90 % of errors"), (1, 3, 0.5, "50 % of errors")):
            axes.fill_between(middle, levels[low], levels[high], color=style.FORECAST, alpha=alpha, lw=0, label=label)
        axes.plot(middle, levels[2], color=style.ACTUAL, lw=1, label="median")
        style.legend_above(axes, 3)
    axes.plot(when[shown], errors[shown], "o", ms=2.2, alpha=0.5, color=style.FORECAST, mew=0)
    axes.axhline(0, color=style.QUIET, lw=0.9)
    axes.margins(x=0.01)
    style.date_axis(axes)


def _distribution(figure: Figure, cell: object, errors: np.ndarray) -> None:
    import numpy as np

    spread = float(np.std(errors)) or 1.0
    centre = float(np.mean(errors))
    edge = TAIL_SIGMAS * spread
    beyond = float(np.mean(np.abs(errors - centre) > 4 * spread))
    axes = style.panel(
        figure, cell, "Distribution",
        note=f"mean {centre:+.2f}, sigma {spread:.1f} bp; {100 * beyond:.2f} % beyond 4 sigma (normal: 0.006 %)",
        x=f"{ERROR} (clipped at {TAIL_SIGMAS} sigma)", y="density, log scale",
    )  # fmt: skip
    axes.hist(
        np.clip(errors, centre - edge, centre + edge), bins=min(81, max(15, len(errors) // 8)),
        density=True, histtype="stepfilled", color=style.FORECAST, alpha=0.65, label="errors",
    )  # fmt: skip
    points = np.linspace(centre - edge, centre + edge, 300)
    normal = np.exp(-0.5 * ((points - centre) / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
    axes.plot(points, normal, color=style.BAD, lw=1.5, label="normal distribution")
    axes.set_yscale("log")
    axes.set_ylim(0.3 / (len(errors) * spread), 4 * float(normal.max()))
    style.legend(axes, loc="upper right")


def _autocorrelation(figure: Figure, cell: object, errors: np.ndarray) -> None:
    """Plot the autocorrelation with a band that is valid under changing volatility; 1.96 / sqrt(n) is too narrow."""
    import numpy as np

    lags = np.arange(1, max(2, min(MAX_LAGS + 1, len(errors) // 4)))
    centred = errors - errors.mean()
    squares = centred**2
    power = float(squares.sum()) or 1.0
    autocorrelation = np.array([float(centred[lag:] @ centred[:-lag]) for lag in lags]) / power
    band = 1.96 * np.sqrt([float(squares[lag:] @ squares[:-lag]) for lag in lags]) / power
    axes = style.panel(
        figure, cell, "Autocorrelation",
        note=f"{int(np.sum(np.abs(autocorrelation) > band))} of {len(lags)} lags are outside the band; "
        f"expected by chance: {0.05 * len(lags):.0f}",
        x="lag, candles", y="autocorrelation of the errors",
    )  # fmt: skip
    axes.fill_between(lags, -band, band, color=style.FAINT, alpha=0.7, lw=0, label="95 % band for no autocorrelation")
    axes.vlines(
        lags, 0, autocorrelation, color=np.where(np.abs(autocorrelation) > band, style.BAD, style.FORECAST), lw=4
    )
    axes.axhline(0, color=style.QUIET, lw=0.9)
    style.legend(axes, loc="upper right")


def _by_hour(figure: Figure, cell: object, holdout: pd.DataFrame, errors: np.ndarray) -> None:
    import numpy as np
    import pandas as pd

    index = holdout.index
    assert isinstance(index, pd.DatetimeIndex)
    hours = index.tz_convert("UTC").hour if index.tz is not None else index.hour
    by_weekday = hours.nunique() < 2
    groups = np.asarray(index.dayofweek if by_weekday else hours)
    name = "day of the week" if by_weekday else "hour of the day"
    squares = pd.Series(errors**2).groupby(groups).mean() ** 0.5
    inside = pd.Series(holdout["actual_price"].between(holdout["lower_price"], holdout["upper_price"]).to_numpy())
    coverage = 100 * inside.groupby(groups).mean()
    axes = style.panel(
        figure, cell, f"RMSE by {name}, UTC", y="RMSE of the return, bp",
        note="bars: RMSE of the return; dots: coverage of the prediction interval",
    )  # fmt: skip
    axes.bar(squares.index, squares.to_numpy(), color=style.FORECAST, alpha=0.65, width=0.75)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1.45 * (float(squares.max()) or 1.0))
    axes.set_xticks(range(7) if by_weekday else range(0, 24, 2), WEEKDAYS if by_weekday else None)
    share = axes.twinx()
    share.plot(coverage.index, coverage.to_numpy(), "o", color=style.BAD, ms=4.5)
    share.set_ylim(0, 105)
    share.set_ylabel("interval coverage, %", fontsize=9.5, color=style.BAD)
    share.tick_params(labelsize=9, colors=style.BAD, length=3)
    for side in ("top", "left", "right", "bottom"):
        share.spines[side].set_visible(False)
