"""How the plots look: one canvas, one kind of panel, colours that colour-blind readers tell apart.

Figures own their canvas; nothing here touches matplotlib's global state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptoml.evaluation.figures import cell

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours.
ACTUAL, FORECAST, GOOD, BAD, HOLDOUT = "#222222", "#0072B2", "#009E73", "#D55E00", "#CC79A7"
QUIET, FAINT, TEXT = "#8C8C8C", "#D9D9D9", "#555555"
SIZE_INCHES, DPI = (13.0, 8.5), 110
MOST_POINTS = 3000


def canvas() -> Figure:
    """An empty white figure of 1430 x 935 pixels with a canvas of its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def heading(figure: Figure, title: str, line: str) -> None:
    """The two lines at the top of every figure."""
    figure.text(0.012, 0.962, title, ha="left", fontsize=15, fontweight="bold", color=ACTUAL)
    figure.text(0.012, 0.934, line, ha="left", fontsize=10, color=TEXT)


def panel(figure: Figure, cell: Any, title: str, *, note: str = "", x: str = "", y: str = "", **axes: Any) -> Axes:
    """Axes with a title in bold, a note under it, and the labels of both axes with their units."""
    made: Axes = figure.add_subplot(cell, facecolor="white", **axes)
    # A place given for the title spares the search for one, a fifth of the drawing time.
    made.set_title(title, loc="left", y=1, fontsize=11, fontweight="bold", pad=21 if note else 7, color=ACTUAL)
    if note:
        made.annotate(
            note, (0, 1), xytext=(0, 7), xycoords="axes fraction", textcoords="offset points", fontsize=9, color=TEXT
        )
    made.set_xlabel(x, fontsize=9.5, color=TEXT)
    made.set_ylabel(y, fontsize=9.5, color=TEXT)
    made.tick_params(labelsize=9, colors=TEXT, length=3)
    for side in ("top", "right"):
        made.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        made.spines[side].set_color(QUIET)
    made.grid(color=FAINT, lw=0.6, alpha=0.7)
    made.set_axisbelow(True)
    return made


def legend(axes: Axes, **options: Any) -> None:
    """A legend without a frame, in the labels' size."""
    axes.legend(frameon=False, fontsize=9, labelcolor=ACTUAL, **options)


def legend_above(axes: Axes, columns: int) -> None:
    """A legend on the line of the title, at the right end."""
    legend(axes, ncol=columns, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=1.7, borderpad=0)


def date_axis(axes: Axes, *, ticks: int = 8) -> None:
    """Dates along x, each part of a date written once."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=ticks)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.xaxis.get_offset_text().set(fontsize=9, color=TEXT)


def times(index: pd.Index[Any]) -> np.ndarray:
    """Times as matplotlib counts them, in UTC."""
    from matplotlib.dates import date2num

    numbers: np.ndarray = date2num(index.to_numpy(dtype="datetime64[us]"))
    return numbers


def time_of(moment: pd.Timestamp) -> float:
    """One time as matplotlib counts it, in UTC."""
    from matplotlib.dates import date2num

    return float(date2num(moment.to_datetime64()))


def thin(length: int, most: int = MOST_POINTS) -> np.ndarray:
    """Positions of at most `most` of `length` rows, evenly taken, the first and the last among them."""
    import numpy as np

    if length <= most:
        return np.arange(length)
    return np.linspace(0, length - 1, most).round().astype(np.intp)


def basis_points(returns: pd.Series[float]) -> np.ndarray:
    """Log returns in hundredths of a percent, float64."""
    import numpy as np

    return 1e4 * returns.to_numpy(dtype=np.float64)


def figures(value: float) -> str:
    """Five significant figures, as prices are compared: 138.01, 41,235, 0.00012340; a dash if not finite."""
    return cell(value, "#,.5g").rstrip(".")


def reach(values: np.ndarray, share: float = 1.0) -> float:
    """Half the width of an axis around zero that shows `share` of the values; 1 where all are zero."""
    import numpy as np

    return float(np.quantile(np.abs(values), share)) * 1.05 or 1.0
