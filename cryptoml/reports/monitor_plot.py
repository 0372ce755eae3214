"""The plot of logged forecasts over time: price, gain against persistence, and coverage, by version."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.reports import style
from cryptoml.reports.comparison_charts import COLOURS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

PERIODS, LEAST = 30, 24


@dataclass(frozen=True)
class Event:
    """A transition at a time (UTC)."""

    time: pd.Timestamp
    text: str


def draw_history(rows: pd.DataFrame, events: Sequence[Event]) -> bytes:
    """Return a PNG of scored forecasts in time order; columns as in the forecast log, actual_price and label.

    Events outside the time of the forecasts are left out.
    """
    figure = style.canvas()
    style.heading(figure, "Forecasts over time", f"{len(rows):,} forecasts of {rows['label'].nunique()} versions")
    grid = figure.add_gridspec(
        3, 1, top=0.86, bottom=0.07, left=0.075, right=0.97, hspace=0.55, height_ratios=(3, 2, 2)
    )
    colours = {label: COLOURS[place % len(COLOURS)] for place, label in enumerate(rows["label"].unique())}
    price = style.panel(
        figure, grid[0], "Price", note="actual, and the forecast with its interval at the time it is for",
        y="price, quote currency",
    )  # fmt: skip
    gain = style.panel(
        figure, grid[1], "Gain against persistence", note="sum of the reduction of the squared error, % of all",
        y="% of persistence's error",
    )  # fmt: skip
    covered = style.panel(
        figure, grid[2], "Coverage", note="of the prediction interval; bars: range expected by chance", y="inside, %"
    )
    _actual(price, rows)
    for label, part in rows.groupby("label", sort=False):
        _version(price, gain, part, str(label), colours[str(label)], rows)
    _coverage(covered, rows, colours)
    for axes in (price, gain, covered):
        axes.margins(x=0.01)
        style.date_axis(axes)
        _mark(axes, rows, events, with_text=axes is price)
    style.legend_above(price, min(len(colours) + 1, 6))
    image = io.BytesIO()
    figure.savefig(image, format="png")
    return image.getvalue()


def _actual(price: Axes, rows: pd.DataFrame) -> None:
    """Plot the price, with a gap where there are no forecasts."""
    import numpy as np

    shown = rows.groupby("target").last()
    when, actual = style.times(shown.index), shown["actual_price"].to_numpy(dtype=np.float64, copy=True)
    steps = np.diff(when, prepend=when[0])
    actual[steps > 3 * np.median(steps)] = np.nan
    keep = style.thin(len(shown))
    price.plot(when[keep], actual[keep], color=style.ACTUAL, lw=1, label="actual")


def _version(price: Axes, gain: Axes, part: pd.DataFrame, label: str, colour: str, rows: pd.DataFrame) -> None:
    import numpy as np
    import pandas as pd

    keep = style.thin(len(part))
    when = style.times(pd.DatetimeIndex(part["target"]))[keep]
    price.plot(when, part["forecast_price"].to_numpy()[keep], color=colour, lw=0.9, label=label)
    price.fill_between(
        when, part["lower_price"].to_numpy()[keep], part["upper_price"].to_numpy()[keep], color=colour, alpha=0.15, lw=0
    )
    now, actual = part["price_now"].to_numpy(), part["actual_price"].to_numpy()
    all_no_change = np.log(rows["actual_price"].to_numpy() / rows["price_now"].to_numpy())
    returns = np.log(actual / now)
    reduction = np.cumsum(returns**2 - (returns - part["forecast_return"].to_numpy()) ** 2)
    total = float(np.sum(all_no_change**2)) or 1.0
    gain.plot(when, 100 * reduction[keep] / total, color=colour, lw=1.2)
    gain.axhline(0, color=style.QUIET, lw=0.8)


def _coverage(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    import numpy as np
    import pandas as pd

    lowest = 100.0
    for label, part in rows.groupby("label", sort=False):
        inside = part["actual_price"].between(part["lower_price"], part["upper_price"]).to_numpy()
        level = float(part["interval_level"].iloc[-1])
        count = max(1, min(PERIODS, len(inside) // LEAST))
        groups: list[NDArray[np.intp]] = np.array_split(np.arange(len(inside)), count)
        when = style.times(pd.DatetimeIndex(part["target"]))
        places = [float(np.mean(when[group])) for group in groups]
        shares = [100 * float(inside[group].mean()) for group in groups]
        ranges = [196 * math.sqrt(level * (1 - level) / len(group)) for group in groups]
        axes.errorbar(
            places, [100 * level] * count, yerr=ranges, fmt="none", ecolor=style.FAINT, elinewidth=6, zorder=1
        )
        axes.plot(places, shares, "o-", color=colours[str(label)], ms=4, lw=1, zorder=3)
        axes.axhline(100 * level, color=style.QUIET, lw=0.8)
        lowest = min(lowest, *shares, 100 * level - 12)
    axes.set_ylim(lowest - 2, 101)


def _mark(axes: Axes, rows: pd.DataFrame, events: Sequence[Event], *, with_text: bool) -> None:
    first, last = rows["target"].min(), rows["target"].max()
    for place, event in enumerate(one for one in events if first <= one.time <= last):
        when = style.time_of(event.time)
        axes.axvline(when, color=style.BAD, lw=0.9, ls="--")
        if with_text:
            axes.annotate(
                event.text, (when, 1 - 0.07 * (place % 4)), xycoords=("data", "axes fraction"), fontsize=8,
                color=style.BAD, xytext=(3, -9), textcoords="offset points",
            )  # fmt: skip
