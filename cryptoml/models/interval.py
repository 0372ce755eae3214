"""Prediction intervals of a forecaster, as offsets from the forecast in log return."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cryptoml.models.conformal import LEVELS, MIN_SCORES, RECENT, recent_bounds, recent_share_above
from cryptoml.models.volatility import VolatilityModel

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Values = NDArray[np.float64]


# Columns of probabilities: of a higher close at the target time, and of a rise and a fall by more than a move.
UP, RISE, FALL = "probability_up", "probability_rise", "probability_fall"


@dataclass(frozen=True)
class Bounds:
    """Offsets of the interval bounds from the forecast, in log return: (rows, levels), NaN without a forecast.

    probabilities: of moves, by column name; empty if they are unknown.
    """

    lower: Values
    upper: Values
    probabilities: Mapping[str, Values] = field(default_factory=dict)


class Interval(Protocol):
    """The part of a forecaster that computes its prediction intervals."""

    @property
    def level(self) -> float:
        """The nominal coverage of the interval that is shown first."""

    @property
    def levels(self) -> tuple[float, ...]:
        """The nominal coverages of all intervals, ascending."""

    def history(self, horizon: int) -> int:
        """Return the number of rows before the first forecast whose outcomes improve its interval."""

    def scored_until(self, symbol: str) -> float:
        """Return the open time, in seconds, after which candles add scores of their own."""

    def bounds(
        self, grid: pd.DataFrame, forecast: Values, horizon: int, *, newest: int, symbol: str, move: float | None
    ) -> Bounds:
        """Return the bounds for the `newest` latest rows of a grid; forecast: log returns of its last rows.

        move: also return the probabilities of a rise and of a fall by more than this share of the price.
        """


@dataclass(frozen=True)
class ConstantInterval:
    """An interval of constant width, of models that were saved before widths were forecast.

    half_width: in log return; by_market: the same by symbol, of the markets of a pool.
    """

    half_width: float
    level: float
    by_market: Mapping[str, float] = field(default_factory=dict)

    @property
    def levels(self) -> tuple[float, ...]:
        """The only nominal coverage."""
        return (self.level,)

    def history(self, horizon: int) -> int:
        """Return 0: no outcome changes the width."""
        return 0

    def scored_until(self, symbol: str) -> float:
        """Return infinity: there are no scores."""
        return math.inf

    def bounds(
        self, grid: pd.DataFrame, forecast: Values, horizon: int, *, newest: int, symbol: str, move: float | None
    ) -> Bounds:
        """Return the same bounds for each row."""
        import numpy as np

        half_width = self.by_market.get(symbol, self.half_width)
        upper = np.where(np.isnan(forecast[-newest:]), np.nan, half_width)[:, np.newaxis]
        return Bounds(-upper, upper)


@dataclass(frozen=True)
class PastScores:
    """Scores of past forecasts by ascending open time of their candle, in seconds since 1970."""

    opened_s: NDArray[np.int64]
    scores: Values


@dataclass(frozen=True)
class ScaledInterval:
    """An interval whose width follows the forecast of volatility and the errors of recent forecasts.

    scores: by symbol, of forecasts made without knowledge of the outcome; of a pool also those of all markets together,
    under the empty symbol. Candles newer than these add scores of their own.
    """

    volatility: VolatilityModel
    scores: Mapping[str, PastScores]
    symmetric: bool
    level: float

    @property
    def levels(self) -> tuple[float, ...]:
        """The nominal coverages, ascending."""
        return interval_levels(self.level)

    def history(self, horizon: int) -> int:
        """Return the number of rows before the first forecast whose outcomes improve its interval."""
        return RECENT + horizon

    def scored_until(self, symbol: str) -> float:
        """Return the open time of the last candle with a stored score."""
        return float(self._stored(symbol).opened_s[-1])

    def bounds(
        self, grid: pd.DataFrame, forecast: Values, horizon: int, *, newest: int, symbol: str, move: float | None
    ) -> Bounds:
        """Return bounds from the volatility at each row, and from the scores whose outcome is known by then."""
        import numpy as np

        size = self.volatility.predict_grid(grid)
        opened_s = grid.index.to_numpy(dtype="datetime64[s]").astype(np.int64)
        past = self._with_new(self._stored(symbol), grid, forecast, size, opened_s, horizon)
        shown_s, scale, raw = opened_s[-newest:], size[-newest:], forecast[-newest:]
        known = known_scores(past.opened_s, shown_s, horizon * self.volatility.interval_seconds)
        lower, upper = recent_bounds(past.scores, known, self.levels, symmetric=self.symmetric)
        counts = np.where(known < MIN_SCORES, len(past.scores), known)

        def share_above(value: float) -> Values:
            """Return the probability of a log return above a value, by row."""
            return np.asarray(
                [
                    recent_share_above(past.scores, int(count), one, symmetric=self.symmetric)
                    for count, one in zip(counts, (value - raw) / scale, strict=True)
                ]
            )

        thresholds = {UP: 0.0} if move is None else {UP: 0.0, RISE: math.log1p(move), FALL: math.log1p(-move)}
        missing = np.isnan(raw)
        probabilities = {name: np.where(missing, np.nan, share_above(value)) for name, value in thresholds.items()}
        if FALL in probabilities:
            probabilities[FALL] = 1 - probabilities[FALL]
        width = np.where(missing, np.nan, scale)[:, np.newaxis]
        return Bounds(lower * width, upper * width, probabilities)

    def _stored(self, symbol: str) -> PastScores:
        """Return the scores of a market; of all together for one that was not in the pool."""
        return self.scores.get(symbol) or self.scores.get("") or next(iter(self.scores.values()))

    def _with_new(
        self, past: PastScores, grid: pd.DataFrame, forecast: Values, size: Values, opened_s: NDArray[np.int64],
        horizon: int,
    ) -> PastScores:  # fmt: skip
        """Append the scores of candles that are newer than the stored ones."""
        import numpy as np

        if len(grid) <= horizon:
            return past
        close = grid["close"].to_numpy()
        actual = np.full(len(close), np.nan)
        actual[:-horizon] = np.log(close[horizon:] / close[:-horizon])
        score = np.full(len(close), np.nan)
        score[-len(forecast) :] = (actual[-len(forecast) :] - forecast) / size[-len(forecast) :]
        new = (opened_s > past.opened_s[-1]) & np.isfinite(score)
        if "no_trade" in grid:
            new &= ~grid["no_trade"].to_numpy()
        if not new.any():
            return past
        return PastScores(np.concatenate([past.opened_s, opened_s[new]]), np.concatenate([past.scores, score[new]]))


def interval_levels(level: float) -> tuple[float, ...]:
    """Return the nominal coverages of all intervals, ascending, including `level`."""
    return tuple(sorted({*LEVELS, level}))


def known_scores(
    score_opened_s: NDArray[np.int64], opened_s: NDArray[np.int64], horizon_seconds: int
) -> NDArray[np.intp]:
    """Return how many scores are of forecasts whose outcome is known at the close of each candle."""
    import numpy as np

    return np.searchsorted(score_opened_s, opened_s - horizon_seconds, side="right")
