"""The style of the plots: canvas, panels, and colours that are distinguishable with colour vision deficiency.

Figures own their canvas; matplotlib's global state is not changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptoml.evaluation.figures import cell

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of Okabe and Ito (2008).
ACTUAL, FORECAST, GOOD, BAD, HOLDOUT = "#222222", "#0072B2", "#009E73", "#D55E00", "#CC79A7"
QUIET, FAINT, TEXT = "#8C8C8C", "#D9D9D9", "#555555"
SIZE_INCHES, DPI = (13.0, 8.5), 110
MOST_POINTS = 3000


def canvas() -> Figure:
    """Return an empty white figure of 1430 x 935 pixels with its own canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def heading(figure: Figure, title: str, line: str) -> None:
    """Write the two lines at the top of a figure."""
    figure.text(0.012, 0.962, title, ha="left", fontsize=15, fontweight="bold", color=ACTUAL)
    figure.text(0.012, 0.934, line, ha="left", fontsize=10, color=TEXT)


def panel(figure: Figure, cell: Any, title: str, *, note: str = "", x: str = "", y: str = "", **options: Any) -> Axes:
    """Add axes with a bold title, a note below it, and axis labels with units."""
    axes: Axes = figure.add_subplot(cell, facecolor="white", **options)
    # A fixed position of the title avoids the search for one, which takes a fifth of the drawing time.
    axes.set_title(title, loc="left", y=1, fontsize=11, fontweight="bold", pad=21 if note else 7, color=ACTUAL)
    if note:
        axes.annotate(
            note, (0, 1), xytext=(0, 7), xycoords="axes fraction", textcoords="offset points", fontsize=9, color=TEXT
        )
    axes.set_xlabel(x, fontsize=9.5, color=TEXT)
    axes.set_ylabel(y, fontsize=9.5, color=TEXT)
    axes.tick_params(labelsize=9, colors=TEXT, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(QUIET)
    axes.grid(color=FAINT, lw=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    return axes


def legend(axes: Axes, **options: Any) -> None:
    """Add a legend without a frame, in the font size of the labels."""
    axes.legend(frameon=False, fontsize=9, labelcolor=ACTUAL, **options)


def legend_above(axes: Axes, columns: int) -> None:
    """Add a legend on the line of the title, on the right."""
    legend(axes, ncol=columns, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=1.7, borderpad=0)


def date_axis(axes: Axes, *, ticks: int = 8) -> None:
    """Format the x axis with concise dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=ticks)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.xaxis.get_offset_text().set(fontsize=9, color=TEXT)


def times(index: pd.Index[Any]) -> np.ndarray:
    """Convert times to matplotlib's date numbers, in UTC."""
    from matplotlib.dates import date2num

    numbers: np.ndarray = date2num(index.to_numpy(dtype="datetime64[us]"))
    return numbers


def time_of(moment: pd.Timestamp) -> float:
    """Convert a time to matplotlib's date number, in UTC."""
    from matplotlib.dates import date2num

    return float(date2num(moment.to_datetime64()))


def thin(length: int, most: int = MOST_POINTS) -> np.ndarray:
    """Return at most `most` evenly spaced positions of `length` rows, including the first and the last."""
    import numpy as np

    if length <= most:
        return np.arange(length)
    return np.linspace(0, length - 1, most).round().astype(np.intp)


def basis_points(returns: pd.Series[float]) -> np.ndarray:
    """Convert log returns to basis points, float64."""
    import numpy as np

    return 1e4 * returns.to_numpy(dtype=np.float64)


def five_digits(value: float) -> str:
    """Format with five significant digits: 138.01, 41,235, 0.00012340; a dash if not finite."""
    return cell(value, "#,.5g").rstrip(".")


def axis_limit(values: np.ndarray, share: float = 1.0) -> float:
    """Return the limit of a symmetric axis that shows `share` of the values; 1 if all are zero."""
    import numpy as np

    return float(np.quantile(np.abs(values), share)) * 1.05 or 1.0
