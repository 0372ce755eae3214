"""One hold-out and a set of expanding folds, split by time, not by number of rows.

A row is the candle at which a forecast is made; its target is `horizon` candles later. A gap after each training window
keeps the training targets out of the validation window or hold-out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.errors import CheckFailedError, ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Window:
    """The rows with start <= open time < end, UTC."""

    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True)
class Fold:
    """A training and a validation window; numbered from 1, oldest first."""

    number: int
    train: Window
    validation: Window


@dataclass(frozen=True)
class Plan:
    """The training part (`train`), the folds inside it, and the hold-out (`test`)."""

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
    """Split the time span from the first to the last row.

    The hold-out starts at `ratio` of the span. The training part is divided into n_folds + 1 segments of equal length:
    fold k trains on the first k segments and validates on the next one. The last `gap_candles` candles (default: the
    horizon) before each validation window and before the hold-out are not used for training.

    Raises ConfigError for a gap shorter than the horizon, DataError if a segment is shorter than the gap plus ten
    candles.
    """
    import pandas as pd

    gap = horizon if gap_candles is None else gap_candles
    if gap < horizon:
        raise ConfigError(
            f"split.gap_candles = {gap} is shorter than the horizon of {horizon} candles: "
            "training targets would overlap the test data.",
            hint=f"--set split.gap_candles={horizon}, or remove the key",
        )
    step = pd.Timedelta(seconds=interval_seconds)
    n_candles = (last - first) // step + 1
    cut = int(n_candles * ratio)
    segment = cut // (n_folds + 1)
    needed = (gap + 10) * (n_folds + 1)
    if segment < gap + 10 or n_candles - cut < 10:
        raise DataError(
            f"{n_candles:,} candles with all features are too few for {n_folds} folds and a hold-out; "
            f"about {int(needed / ratio) + 1:,} are required.",
            hint="use more candles, fewer folds (--set split.cross_validation_folds=2) or shorter windows",
        )
    boundaries = [first + step * (segment * index) for index in range(n_folds + 1)] + [first + step * cut]
    gap_length = step * gap
    folds = tuple(
        Fold(
            number,
            train=Window(first, boundaries[number] - gap_length),
            # The gap before the hold-out also applies to the last validation window, whose targets overlap it.
            validation=Window(
                boundaries[number], boundaries[number + 1] - (gap_length if number == n_folds else 0 * step)
            ),
        )
        for number in range(1, n_folds + 1)
    )
    return Plan(
        train=Window(first, boundaries[-1] - gap_length),
        test=Window(boundaries[-1], last + step),
        folds=folds,
        gap_candles=gap,
        horizon=horizon,
    )


def rows(index: pd.DatetimeIndex, window: Window) -> slice:
    """Return the rows of an ascending index in `window`, as a slice of positions."""
    return slice(int(index.searchsorted(window.start)), int(index.searchsorted(window.end)))


def overlaps(plan: Plan, index: pd.DatetimeIndex, ahead: pd.Timedelta) -> list[str]:
    """Return the parts with a training row whose target is later than the first forecast; ahead: horizon as a time."""
    parts = [(f"fold {fold.number}", fold.train, fold.validation) for fold in plan.folds]
    parts.append(("the hold-out", plan.train, plan.test))
    found = []
    for name, train, forecast in parts:
        fitted, used = index[rows(index, train)], index[rows(index, forecast)]
        if len(fitted) and len(used) and fitted[-1] + ahead > used[0]:
            found.append(name)
    return found


def check_targets_known(plan: Plan, index: pd.DatetimeIndex, ahead: pd.Timedelta) -> None:
    """Raise CheckFailedError if a target of a training window is known only after its forecasts begin."""
    found = overlaps(plan, index, ahead)
    if found:
        raise CheckFailedError(
            f"the training targets overlap the forecasts of {', '.join(found)}.", hint="cryptoml audit"
        )


def rows_needed(*, horizon: int, ratio: float, n_folds: int, gap_candles: int | None, least: int) -> int:
    """Return the number of consecutive rows for which every window of `make_plan` has at least `least` rows."""
    gap = horizon if gap_candles is None else gap_candles
    needed = 1
    while int(needed * ratio) // (n_folds + 1) < least + gap or needed - int(needed * ratio) < least:
        needed += 1
    return needed
