"""One hold-out and a set of expanding folds, cut by time and not by row.

A row stands for the candle at which a forecast is made; its target reaches `horizon` candles further. A gap
between training and what follows keeps every training target outside of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Window:
    """The rows with start <= open time < end, UTC."""

    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True)
class Fold:
    """Train on the first window, validate on the second; numbered from 1, oldest first."""

    number: int
    train: Window
    validation: Window


@dataclass(frozen=True)
class Plan:
    """The hold-out (`test`), what may be trained on (`train`), and the folds inside that part."""

    train: Window
    test: Window
    folds: tuple[Fold, ...]
    gap_candles: int
    horizon: int


def make_plan(
    first: pd.Timestamp,
    last: pd.Timestamp,
    *,
    interval_seconds: int,
    horizon: int,
    ratio: float,
    n_folds: int,
    gap_candles: int | None = None,
) -> Plan:
    """Cut the span from the first to the last row.

    The hold-out begins at `ratio` of the span, on the grid. The training part is cut into n_folds + 1
    segments of equal time: fold k trains on the first k of them and validates on the next. Before each validation and
    before the hold-out, `gap_candles` candles (the horizon when not given) are left out of training.

    Raises ConfigError for a gap shorter than the horizon less one, DataError when a segment would be shorter
    than the gap and ten candles.
    """
    import pandas as pd

    gap = horizon if gap_candles is None else gap_candles
    if gap < horizon:
        raise ConfigError(
            f"A gap of {gap} candles lets training targets {horizon} candles ahead reach into what follows.",
            hint=f"--set split.gap_candles={horizon}, or leave it out",
        )
    step = pd.Timedelta(seconds=interval_seconds)
    n_candles = (last - first) // step + 1
    cut = int(n_candles * ratio)
    segment = cut // (n_folds + 1)
    needed = (gap + 10) * (n_folds + 1)
    if segment < gap + 10 or n_candles - cut < 10:
        raise DataError(
            f"{n_candles} candles with every feature are too few for {n_folds} folds and a hold-out; "
            f"about {int(needed / ratio) + 1} are needed.",
            hint="bring more candles, fewer folds (--set split.cross_validation_folds=2) or shorter windows",
        )
    boundaries = [first + step * (segment * place) for place in range(n_folds + 1)] + [first + step * cut]
    hold = step * gap
    folds = tuple(
        Fold(
            number,
            train=Window(first, boundaries[number] - hold),
            # The last candles before the hold-out stay out of validation too: their targets reach into it.
            validation=Window(boundaries[number], boundaries[number + 1] - (hold if number == n_folds else 0 * step)),
        )
        for number in range(1, n_folds + 1)
    )
    return Plan(
        train=Window(first, boundaries[-1] - hold),
        test=Window(boundaries[-1], last + step),
        folds=folds,
        gap_candles=gap,
        horizon=horizon,
    )


def rows(index: pd.DatetimeIndex, window: Window) -> slice:
    """The rows of an ascending index that lie in `window`, as a slice of positions."""
    return slice(int(index.searchsorted(window.start)), int(index.searchsorted(window.end)))
