"""The plots of a run. Drawn on figures of their own, without any global state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers as well.
ACTUAL, FORECAST, BASELINE, GOOD, BAD = "#222222", "#0072B2", "#999999", "#009E73", "#D55E00"
ZOOM_CANDLES = 168
MOST_POINTS = 4000
DPI = 110


class FoldRow(Protocol):
    """What the fold plot needs of a fold."""

    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def train_start(self) -> pd.Timestamp: ...  # noqa: D102
    @property
    def train_end(self) -> pd.Timestamp: ...  # noqa: D102
    @property
    def validation_start(self) -> pd.Timestamp: ...  # noqa: D102
    @property
    def validation_end(self) -> pd.Timestamp: ...  # noqa: D102
    @property
    def rmse(self) -> float: ...  # noqa: D102
    @property
    def baseline_rmse(self) -> float: ...  # noqa: D102


def draw_all(
    folder: Path,
    *,
    predictions: pd.DataFrame,
    importance: pd.Series[float] | None,
    fold_rows: Sequence[FoldRow],
    title: str,
    subtitle: str,
    timestamp: str,
) -> list[Path]:
    """Write `{plot}_{timestamp}.png` for every plot that has something to show; `folder` exists.

    predictions: index timestamp (UTC), columns part ("fold_1" ... or "holdout"), price_now, actual_price,
    forecast_price, lower_price, upper_price, actual_return, forecast_return.
    """
    holdout = predictions[predictions["part"] == "holdout"]
    figures: dict[str, Figure] = {
        "actual_vs_predicted": actual_vs_predicted(holdout),
        "residuals": residuals(holdout),
        "folds": folds(fold_rows, holdout),
    }
    if importance is not None:
        figures["feature_importance"] = feature_importance(importance)
    written = []
    for name, figure in figures.items():
        figure.text(0.01, 0.965, title, ha="left", fontsize=14, fontweight="bold")
        figure.text(0.01, 0.938, f"{name.replace('_', ' ')} | {subtitle}", ha="left", fontsize=10, color="#555555")
        path = folder / f"{name}_{timestamp}.png"
        figure.savefig(path, dpi=DPI)
        written.append(path)
    return written


def actual_vs_predicted(holdout: pd.DataFrame) -> Figure:
    """The newest candles with their interval; forecast against actual return; what is won over persistence.

    One candle ahead, forecast and price lie on top of each other at any scale that shows the whole hold-out, so
    the first part shows the last week and the third what the forecasts are worth.
    """
    import numpy as np

    figure = _figure()
    grid = figure.add_gridspec(2, 2, top=0.88, bottom=0.08, left=0.07, right=0.97, hspace=0.32, wspace=0.2)
    top = figure.add_subplot(grid[0, :])
    zoom = holdout.tail(ZOOM_CANDLES)
    times = zoom.index.to_numpy()
    top.fill_between(
        times, zoom["lower_price"], zoom["upper_price"], color=FORECAST, alpha=0.15, lw=0, label="interval"
    )
    top.plot(times, zoom["actual_price"], color=ACTUAL, lw=1.4, label="actual")
    top.plot(times, zoom["forecast_price"], color=FORECAST, lw=1.1, label="forecast")
    top.set_title(f"the last {len(zoom)} forecasts of the hold-out", loc="left")
    top.set_ylabel("price")
    top.legend(frameon=False, ncol=3, loc="best")
    _dates(top)

    left = figure.add_subplot(grid[1, 0])
    shown = _thin(holdout)
    forecast, actual = 1e4 * shown["forecast_return"].to_numpy(), 1e4 * shown["actual_return"].to_numpy()
    left.scatter(forecast, actual, s=6, alpha=0.25, color=FORECAST, lw=0)
    bound = float(np.quantile(np.abs(actual), 0.99)) or 1.0
    left.set_ylim(-bound, bound)
    left.axhline(0, color=BASELINE, lw=0.8)
    left.axvline(0, color=BASELINE, lw=0.8)
    reach = float(np.max(np.abs(forecast))) or 1.0
    left.plot([-reach, reach], [-reach, reach], color=BAD, lw=1, ls="--", label="forecast = actual")
    left.legend(frameon=False, loc="upper left")
    left.set_title("forecast against actual return (99 % of them)", loc="left")
    left.set_xlabel("forecast return, basis points")
    left.set_ylabel("actual return, basis points")

    right = figure.add_subplot(grid[1, 1])
    won = (holdout["actual_return"] ** 2 - (holdout["actual_return"] - holdout["forecast_return"]) ** 2).to_numpy()
    total = float(np.sum(holdout["actual_return"].to_numpy() ** 2)) or 1.0
    gain = _thin_array(100 * np.cumsum(won) / total)
    when = _thin_array(holdout.index.to_numpy())
    right.plot(when, gain, color=GOOD if gain[-1] >= 0 else BAD, lw=1.4)
    right.axhline(0, color=BASELINE, lw=1)
    right.set_title("squared error won over persistence, added up", loc="left")
    right.set_ylabel("% of persistence's squared error")
    _dates(right)
    return figure


def residuals(holdout: pd.DataFrame) -> Figure:
    """Errors of the return: over time, their distribution, their memory, and their size by hour of day."""
    import numpy as np

    figure = _figure()
    grid = figure.add_gridspec(2, 2, top=0.88, bottom=0.08, left=0.07, right=0.97, hspace=0.32, wspace=0.2)
    errors = 1e4 * (holdout["actual_return"] - holdout["forecast_return"]).to_numpy()
    over = figure.add_subplot(grid[0, 0])
    shown = _thin(holdout)
    over.scatter(
        shown.index.to_numpy(),
        1e4 * (shown["actual_return"] - shown["forecast_return"]).to_numpy(),
        s=4, alpha=0.3, color=FORECAST, lw=0,
    )  # fmt: skip
    over.axhline(0, color=BASELINE, lw=0.8)
    over.set_title("over time", loc="left")
    over.set_ylabel("error of the return, basis points")
    _dates(over)

    spread = float(np.std(errors)) or 1.0
    shape = figure.add_subplot(grid[0, 1])
    reach = 5 * spread
    shape.hist(np.clip(errors, -reach, reach), bins=81, density=True, color=FORECAST, alpha=0.6)
    points = np.linspace(-reach, reach, 300)
    normal = np.exp(-0.5 * (points / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    shape.plot(points, normal, color=BAD, lw=1.2, label="normal, same deviation")
    shape.set_yscale("log")
    shape.set_ylim(bottom=float(normal.min()))
    shape.legend(frameon=False)
    shape.set_title(f"distribution (deviation {spread:.1f}, ends gathered at 5)", loc="left")
    shape.set_xlabel("error of the return, basis points")

    memory = figure.add_subplot(grid[1, 0])
    lags = np.arange(1, min(49, max(2, len(errors) // 4)))
    centred = errors - errors.mean()
    power = float(np.sum(centred**2)) or 1.0
    memory.bar(lags, [float(np.sum(centred[lag:] * centred[:-lag])) / power for lag in lags], color=FORECAST, width=0.7)
    bound = 1.96 / np.sqrt(len(errors))
    memory.axhspan(-bound, bound, color=BASELINE, alpha=0.25, lw=0, label="95 % of pure noise")
    memory.legend(frameon=False)
    memory.set_title("memory: what a model could still use", loc="left")
    memory.set_xlabel("lag, candles")
    memory.set_ylabel("autocorrelation")

    hours = figure.add_subplot(grid[1, 1])
    index: Any = holdout.index
    by_hour = [errors[index.hour == hour] for hour in range(24)]
    hours.bar(range(24), [float(np.sqrt(np.mean(one**2))) if len(one) else 0.0 for one in by_hour], color=FORECAST)
    hours.set_title("size by hour of day", loc="left")
    hours.set_xlabel("hour, UTC")
    hours.set_ylabel("RMSE of the return, basis points")
    return figure


def feature_importance(importance: pd.Series[float], *, top: int = 25) -> Figure:
    """The most important features, as shares of the whole."""
    figure = _figure()
    axes = figure.add_axes((0.2, 0.08, 0.75, 0.8))
    shown = importance.sort_values(ascending=False).head(top)[::-1]
    axes.barh([str(name) for name in shown.index], 100 * shown.to_numpy(), color=FORECAST)
    rest = 100 * (1 - float(shown.sum()))
    axes.set_title(f"the first {len(shown)} of {len(importance)}; the others have {rest:.1f} %", loc="left")
    axes.set_xlabel("importance, %")
    axes.margins(y=0.01)
    return figure


def folds(fold_rows: Sequence[FoldRow], holdout: pd.DataFrame) -> Figure:
    """Where each fold trains and validates, and how it does against persistence."""
    figure = _figure()
    grid = figure.add_gridspec(2, 1, top=0.88, bottom=0.08, left=0.08, right=0.97, hspace=0.35)
    plan = figure.add_subplot(grid[0])
    for fold in fold_rows:
        label = fold.number == 1
        _span(plan, fold.number, fold.train_start, fold.train_end, BASELINE, "training" if label else None)
        _span(plan, fold.number, fold.validation_start, fold.validation_end, FORECAST, "validation" if label else None)
    last = len(fold_rows) + 1
    if fold_rows and len(holdout):
        _span(plan, last, fold_rows[0].train_start, fold_rows[-1].validation_end, BASELINE, None)
        _span(plan, last, holdout.index[0], holdout.index[-1], BAD, "hold-out")
    plan.set_yticks(range(1, last + 1), [*(f"fold {fold.number}" for fold in fold_rows), "final"])
    plan.invert_yaxis()
    plan.legend(frameon=False, ncol=3, loc="lower right", bbox_to_anchor=(1, 1))
    plan.set_title("what is trained on and what is scored", loc="left")
    _dates(plan)

    scores = figure.add_subplot(grid[1])
    places = [fold.number for fold in fold_rows]
    gains = [100 * (1 - fold.rmse / fold.baseline_rmse) if fold.baseline_rmse else 0.0 for fold in fold_rows]
    bars = scores.bar(places, gains, color=[GOOD if gain >= 0 else BAD for gain in gains], width=0.5)
    scores.bar_label(bars, [f"RMSE {fold.rmse:.5g}\nagainst {fold.baseline_rmse:.5g}" for fold in fold_rows], padding=3)
    scores.axhline(0, color=ACTUAL, lw=0.8)
    scores.margins(y=0.35)
    scores.set_xticks(places, [f"fold {place}" for place in places])
    scores.set_ylabel("skill against persistence, %")
    scores.set_title("score of each fold", loc="left")
    return figure


def _figure() -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 8.5))
    FigureCanvasAgg(figure)
    return figure


def _span(axes: Axes, row: int, start: Any, end: Any, color: str, label: str | None) -> None:
    axes.barh(row, end - start, left=start, height=0.6, color=color, label=label)


def _dates(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(alpha=0.2)


def _thin(frame: pd.DataFrame) -> pd.DataFrame:
    """At most MOST_POINTS rows, evenly taken."""
    return frame.iloc[:: max(1, -(-len(frame) // MOST_POINTS))]


def _thin_array(values: np.ndarray) -> np.ndarray:
    return values[:: max(1, -(-len(values) // MOST_POINTS))]
