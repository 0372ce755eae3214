"""The plots of a run, one PNG each: forecasts, residuals, intervals, feature importance, folds."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cryptoml.evaluation import skill_uncertainty
from cryptoml.reports import style
from cryptoml.reports.forecast_plot import actual_vs_predicted
from cryptoml.reports.interval_plot import intervals
from cryptoml.reports.residual_plot import residuals

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FoldRow", "actual_vs_predicted", "draw_all", "feature_importance", "folds", "residuals"]

HEADLINES = {
    "actual_vs_predicted": "actual and predicted",
    "residuals": "residuals",
    "intervals": "prediction intervals on the hold-out",
    "folds": "folds",
    "feature_importance": "feature importance",
}


class FoldRow(Protocol):
    """The number and the windows (UTC, ends exclusive) of a fold."""

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


def draw_all(
    folder: Path,
    *,
    predictions: pd.DataFrame,
    importance: pd.Series[float] | None,
    fold_rows: Sequence[FoldRow],
    title: str,
    subtitle: str,
    timestamp: str,
    interval_level: float | None,
    price_unit: str = "quote currency",
) -> list[Path]:
    """Write `{plot}_{timestamp}.png` into `folder` for each plot that has data.

    predictions: index timestamp (UTC, candle from which the forecast is made), no NaN; columns part ("fold_1" ... or
    "holdout"), price_now, actual_price, forecast_price, lower_price, upper_price, actual_return, forecast_return,
    expected_size. interval_level: nominal coverage between lower_price and upper_price; None for no plot of it.
    importance: index feature name, sum 1; no plot if it is None or has only zeros and NaN.
    title: model and data set; subtitle: follows the name of each plot.
    """
    from matplotlib import rc_context

    holdout = predictions[predictions["part"] == "holdout"]
    figures: dict[str, Figure] = {}
    if len(holdout):
        figures["actual_vs_predicted"] = actual_vs_predicted(holdout, price_unit=price_unit)
        figures["residuals"] = residuals(holdout)
        if interval_level is not None:
            figures["intervals"] = intervals(holdout, level=interval_level)
    if fold_rows:
        figures["folds"] = folds(fold_rows, predictions, price_unit=price_unit)
    if importance is not None and (importance > 0).any():
        figures["feature_importance"] = feature_importance(importance)
    written = []
    for name, figure in figures.items():
        style.heading(figure, title, f"{HEADLINES[name]}  |  {subtitle}")
        path = folder / f"{name}_{timestamp}.png"
        # Hinting takes a fifth of the time. Compression takes half of it; the lowest level makes files 5 % larger.
        with rc_context({"text.hinting": "none"}):
            figure.savefig(path, dpi=style.DPI, pil_kwargs={"compress_level": 1})
        written.append(path)
    return written


def feature_importance(importance: pd.Series[float], *, top: int = 20) -> Figure:
    """Plot the shares of the `top` most important features, with the share of equally important ones."""
    valid = importance[importance.notna()].sort_values(ascending=False, kind="stable")
    shown = valid.head(top)
    names = [name if len(name) <= 34 else f"{name[:33]}…" for name in map(str, shown.index)]
    figure = style.canvas()
    # With few features, the bars keep their height instead of filling the figure.
    bottom = 0.86 - 0.79 * (max(len(shown), 4) / max(top, 20))
    rest = f"; the other {len(valid) - len(shown)} have {100 * float(valid[top:].sum()):.1f} %"
    axes = style.panel(
        figure, figure.add_gridspec(1, 1, left=0.24, right=0.95, top=0.86, bottom=max(0.07, bottom))[0],
        f"The first {len(shown)} of {len(importance)} features" + (rest if len(valid) > len(shown) else ""),
        note="what the model uses, not its predictive value; correlated features share their importance",
        x="share of the importance, %",
    )  # fmt: skip
    values = 100 * shown.to_numpy()
    bars = axes.barh(range(len(shown)), values, color=style.FORECAST, alpha=0.8, height=0.72)
    axes.bar_label(bars, [f"{value:.1f}" for value in values], padding=4, fontsize=9, color=style.TEXT)
    equal_share = 100 / len(importance)
    axes.axvline(equal_share, color=style.BAD, lw=1.2, ls="--", label=f"equal shares: {equal_share:.1f} %")
    axes.set_yticks(range(len(shown)), names, fontsize=10, color=style.ACTUAL)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1.08 * max(float(values.max()), equal_share))
    axes.grid(visible=False, axis="y")
    style.legend_above(axes, 1)
    return figure


def folds(fold_rows: Sequence[FoldRow], predictions: pd.DataFrame, *, price_unit: str = "quote currency") -> Figure:
    """Plot on one time axis the price, the windows of each fold, and its skill with 95 % bars."""
    figure = style.canvas()
    grid = figure.add_gridspec(
        3, 1, height_ratios=(1, 1.5, 1.3), top=0.875, bottom=0.06, left=0.2, right=0.985, hspace=0.36
    )
    holdout = predictions[predictions["part"] == "holdout"]
    scored = [
        (f"fold_{row.number}", f"fold {row.number}", row.validation_start, row.validation_end) for row in fold_rows
    ]
    if len(holdout):
        scored.append(("holdout", "hold-out", holdout.index[0], holdout.index[-1]))
    colors = [style.HOLDOUT if part == "holdout" else style.FORECAST for part, *_ in scored]
    windows = [(style.time_of(start), style.time_of(end)) for _, _, start, end in scored]

    price = style.panel(figure, grid[0], "Price", y=f"{price_unit},\nlog scale")
    shown = style.thin(len(predictions))
    price.plot(
        style.times(predictions.index[shown]), predictions["price_now"].to_numpy()[shown], color=style.ACTUAL, lw=0.9
    )
    price.set_yscale("log")
    marks = _price_marks(predictions["price_now"])
    price.set_yticks(marks, [f"{mark:,.6g}" for mark in marks])
    price.set_yticks([], minor=True)
    price.tick_params(labelbottom=False)

    plan = style.panel(
        figure, grid[1], "Training and validation windows", sharex=price,
        note="left: RMSE of price, model | persistence",
    )  # fmt: skip
    _draw_windows(plan, fold_rows, windows, colors)
    horizon = skill_uncertainty.horizon_of(predictions)
    scores = [skill_uncertainty.skill(predictions[predictions["part"] == part], horizon=horizon) for part, *_ in scored]
    labels = [
        f"{name}:  {style.five_digits(rmse)} | {style.five_digits(baseline)}"
        for (_, name, *_), (_, _, rmse, baseline) in zip(scored, scores, strict=True)
    ]
    plan.set_yticks(range(len(scored)), labels, fontsize=9.5 if len(scored) < 13 else 7, color=style.ACTUAL)
    plan.tick_params(labelbottom=False)

    gains = [100 * gain for gain, *_ in scores]
    _draw_skills(figure, grid[2], price, windows, gains, [196 * half_width for _, half_width, *_ in scores])
    return figure


def _draw_windows(
    axes: Axes, fold_rows: Sequence[FoldRow], windows: Sequence[tuple[float, float]], colors: Sequence[str]
) -> None:
    trained = [(style.time_of(row.train_start), style.time_of(row.train_end)) for row in fold_rows]
    if len(windows) > len(trained):
        trained.append((trained[0][0], max(end for _, end in windows[:-1])))
    for number, (start, end) in enumerate(trained):
        axes.barh(number, end - start, left=start, height=0.62, color=style.FAINT, label="" if number else "training")
    for number, ((start, end), color) in enumerate(zip(windows, colors, strict=True)):
        label = "validation" if number == 0 else "hold-out" if color == style.HOLDOUT else ""
        axes.barh(number, end - start, left=start, height=0.62, color=color, label=label)
    axes.set_ylim(len(windows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    style.legend_above(axes, 3)


def _draw_skills(
    figure: Figure,
    cell: object,
    beside: Axes,
    windows: Sequence[tuple[float, float]],
    gains: Sequence[float],
    half_widths: Sequence[float],
) -> None:
    axes = style.panel(
        figure, cell, "Skill: reduction of the RMSE relative to persistence", sharex=beside,
        note="thin lines: 95 % bars; not significant where the line crosses zero", y="skill, %",
    )  # fmt: skip
    size = 9.5 if len(gains) < 13 else 7
    for (start, end), gain, half_width in zip(windows, gains, half_widths, strict=True):
        middle = (start + end) / 2
        if not isfinite(gain):
            axes.annotate("–", (middle, 0), ha="center", va="bottom", fontsize=size, color=style.ACTUAL)
            continue
        color = style.GOOD if gain > 0 else style.BAD
        axes.bar(middle, gain, width=0.8 * (end - start), color=color, alpha=0.8)
        axes.errorbar(middle, gain, yerr=half_width, color=style.ACTUAL, lw=1, capsize=3)
        tip = max(gain + half_width, 0) if gain >= 0 else min(gain - half_width, 0)
        axes.annotate(
            f"{gain:+.2f}", (middle, tip), xytext=(0, 4 if gain >= 0 else -4), textcoords="offset points",
            ha="center", va="bottom" if gain >= 0 else "top", fontsize=size, color=style.ACTUAL,
        )  # fmt: skip
    axes.axhline(0, color=style.QUIET, lw=1)
    axes.margins(x=0.01, y=0.22)
    if max((abs(value) for value in (*gains, *half_widths) if isfinite(value)), default=0.0) < 1e-6:
        axes.set_ylim(-1, 1)
    style.date_axis(axes, ticks=10)


def _price_marks(prices: pd.Series[float]) -> list[float]:
    """Return four prices from the lowest to the highest with equal ratios, rounded as far as they stay distinct."""
    low, high = float(prices.min()), float(prices.max())
    digits = 2 if high > 2 * low else 3 if high > 1.1 * low else 5
    return sorted({float(f"{low * (high / low) ** (step / 3):.{digits}g}") for step in range(4)})
