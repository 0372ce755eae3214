"""The plot of forecasts and actual values on the hold-out.

One candle ahead, the curves of forecast and price coincide on a scale of months. Therefore the price is shown for the
latest candles only; the other panels show returns.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING

from cryptoml.evaluation import skill_uncertainty
from cryptoml.evaluation.forecasts import Forecasts
from cryptoml.evaluation.metrics import METRICS
from cryptoml.reports import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ZOOM_CANDLES = 168
MADE_AT = "time of the forecast, UTC"


def actual_vs_predicted(holdout: pd.DataFrame, *, price_unit: str = "quote currency") -> Figure:
    """Plot the hold-out (columns as in `draw_all`; at least one row, no NaN) in four panels.

    The panels: the latest prices with prediction interval and forecast moves; forecast and actual return; the same in
    groups of equal size; the cumulative reduction of the squared error against persistence, with its 95 % band.
    """
    figure = style.canvas()
    grid = figure.add_gridspec(
        3, 3, height_ratios=(2.5, 0.8, 2.5), width_ratios=(1, 1, 1.6),
        top=0.865, bottom=0.07, left=0.068, right=0.985, hspace=0.62, wspace=0.3,
    )  # fmt: skip
    top = grid[:2, :].subgridspec(2, 1, height_ratios=(3, 1), hspace=0.12)
    _newest(figure, top, holdout, price_unit)
    _scatter(figure, grid[2, 0], holdout)
    _calibration(figure, grid[2, 1], holdout)
    _gain(figure, grid[2, 2], holdout)
    return figure


def _newest(figure: Figure, cell: object, holdout: pd.DataFrame, unit: str) -> None:
    import numpy as np

    rows = holdout.tail(ZOOM_CANDLES)
    when = style.times(rows.index)
    # A gap in the candles is a gap in the lines.
    steps = np.diff(when)
    gaps = np.flatnonzero(steps > 1.5 * np.median(steps)) + 1 if len(steps) else np.array([], dtype=np.intp)
    when = np.insert(when, gaps, np.nan)
    actual, forecast, low, high, moved = (
        np.insert(rows[name].to_numpy(dtype=np.float64), gaps, np.nan)
        for name in ("actual_price", "forecast_price", "lower_price", "upper_price", "actual_return")
    )
    inside = holdout["actual_price"].between(holdout["lower_price"], holdout["upper_price"])
    price = style.panel(
        figure, cell[0],  # type: ignore[index]
        f"The last {len(rows)} of {len(holdout):,} forecasts of the hold-out",
        note="plotted at the time of the forecast; a forecast equal to the current price is \"no change\"",
        y=f"price, {unit}",
    )  # fmt: skip
    price.fill_between(
        when, low, high, color=style.FORECAST, alpha=0.14, lw=0,
        label=f"prediction interval (coverage {100 * inside.mean():.1f} % on the hold-out)",
    )  # fmt: skip
    price.plot(when, actual, color=style.ACTUAL, lw=1.5, label="actual")
    price.plot(when, forecast, color=style.FORECAST, lw=1.2, label="forecast")
    outside = (actual < low) | (actual > high)
    if outside.any():
        price.plot(when[outside], actual[outside], "o", color=style.BAD, ms=5, label="outside the interval")
    price.margins(x=0.01)
    style.legend_above(price, 4)
    price.yaxis.set_major_formatter("{x:,.6g}")
    price.tick_params(labelbottom=False)

    moves = style.panel(figure, cell[1], "", x=MADE_AT, y="forecast\nmove, bp", sharex=price)  # type: ignore[index]
    forecasts = np.insert(style.basis_points(rows["forecast_return"]), gaps, np.nan)
    correct = np.sign(forecasts) == np.sign(moved)
    for side, color, label in ((correct, style.GOOD, "correct direction"), (~correct, style.BAD, "wrong direction")):
        moves.vlines(when[side], 0, forecasts[side], lw=3.2, color=color, label=label)
    moves.axhline(0, color=style.QUIET, lw=0.8)
    bound = style.axis_limit(style.basis_points(rows["forecast_return"]))
    moves.set_ylim(-bound, bound)
    if not rows["forecast_return"].any():
        moves.text(0.5, 0.68, "every forecast is \"no change\"", transform=moves.transAxes, ha="center",
                   fontsize=9, color=style.TEXT)  # fmt: skip
    else:
        style.legend(moves, ncol=2, loc="lower right", bbox_to_anchor=(1, 0.93), borderaxespad=0)
    style.date_axis(moves, ticks=10)


def _scatter(figure: Figure, cell: object, holdout: pd.DataFrame) -> None:
    forecast, actual = style.basis_points(holdout["forecast_return"]), style.basis_points(holdout["actual_return"])
    axes = style.panel(
        figure, cell, "Return: forecast and actual", note=_scores(holdout),
        x="forecast return, bp (0.01 %)", y="actual return, bp (99 %)",
    )  # fmt: skip
    wide, tall = style.axis_limit(forecast, 0.995), style.axis_limit(actual, 0.99)
    shown = style.thin(len(forecast), 2000)
    axes.plot(forecast[shown], actual[shown], "o", ms=2.6, alpha=0.25, color=style.FORECAST, mew=0)
    axes.axhline(0, color=style.QUIET, lw=0.9)
    axes.axvline(0, color=style.QUIET, lw=0.9)
    _diagonal(axes, min(wide, tall))
    axes.set_xlim(-wide, wide)
    axes.set_ylim(-tall, tall)


def _scores(holdout: pd.DataFrame) -> str:
    columns = [field.name for field in fields(Forecasts) if field.name != "intervals"]
    values = {name: holdout[name].to_numpy(dtype="float64") for name in columns}
    forecasts = Forecasts(**values, intervals=None)
    shown = ("return_r2", "skill", "directional_accuracy")
    return ", ".join(f"{METRICS[name].title} {METRICS[name].text(METRICS[name].compute(forecasts))}" for name in shown)


def _calibration(figure: Figure, cell: object, holdout: pd.DataFrame) -> None:
    """Plot the mean actual return of groups of similar forecasts, with 95 % bars; ideally on the diagonal."""
    import numpy as np

    forecast, actual = style.basis_points(holdout["forecast_return"]), style.basis_points(holdout["actual_return"])
    groups = min(10, max(1, len(forecast) // 30)) if np.ptp(forecast) > 0 else 1
    order = np.argsort(forecast, kind="stable")
    parts = np.array_split(order, groups)
    forecast_means = np.array([forecast[part].mean() for part in parts])
    actual_means = np.array([actual[part].mean() for part in parts])
    # Similar forecasts are close in time, so overlapping targets count once per horizon.
    horizon = skill_uncertainty.horizon_of(holdout)
    half_widths = np.array([1.96 * actual[part].std() * math.sqrt(horizon / len(part)) for part in parts])
    axes = style.panel(
        figure, cell, "Calibration of the forecast return",
        note=f"means of {groups} groups by forecast, 95 % bars" if groups > 1 else "forecasts are constant or too few",
        x="mean forecast return, bp", y="mean actual return, bp",
    )  # fmt: skip
    axes.errorbar(
        forecast_means,
        actual_means,
        yerr=half_widths,
        fmt="o",
        color=style.FORECAST,
        ecolor=style.FORECAST,
        ms=5,
        lw=1,
        capsize=2,
    )
    axes.axhline(0, color=style.QUIET, lw=0.9)
    axes.axvline(0, color=style.QUIET, lw=0.9)
    _diagonal(axes, style.axis_limit(forecast_means))
    style.legend(axes, loc="lower right")


def _gain(figure: Figure, cell: object, holdout: pd.DataFrame) -> None:
    """Plot the cumulative reduction of the squared error against persistence, as a share of persistence's total."""
    import numpy as np

    actual = holdout["actual_return"].to_numpy(dtype=np.float64)
    gains = actual**2 - (actual - holdout["forecast_return"].to_numpy(dtype=np.float64)) ** 2
    scale = 100 / (float(np.sum(actual**2)) or 1.0)
    gain = scale * np.cumsum(gains)
    band = scale * skill_uncertainty.no_skill_band(gains, skill_uncertainty.horizon_of(holdout))
    shown = style.thin(len(gain))
    when = style.times(holdout.index[shown])
    end = float(gain[-1])
    position = "above" if end > band[-1] else "below" if end < -band[-1] else "inside"
    axes = style.panel(
        figure, cell, "Cumulative reduction of the squared error",
        note=f"against persistence: {end:+.2f} % at the end, {position} the 95 % band",
        x=MADE_AT, y="% of persistence's squared error",
    )  # fmt: skip
    axes.fill_between(
        when,
        -band[shown],
        band[shown],
        color=style.FAINT,
        alpha=0.6,
        lw=0,
        label="95 % band for equal accuracy",
    )
    axes.axhline(0, color=style.QUIET, lw=1)
    axes.plot(when, gain[shown], color=style.GOOD if end > 0 else style.BAD if end < 0 else style.QUIET, lw=1.6)
    axes.margins(x=0.01)
    style.legend(axes, loc="upper left")
    style.date_axis(axes)


def _diagonal(axes: Axes, size: float) -> None:
    axes.plot([-size, size], [-size, size], color=style.BAD, lw=1.1, ls="--", label="forecast = actual")
