"""Candidate and champion on the same newest candles, which neither has seen when it was fitted. Pure; no store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.evaluation.skill_uncertainty import skill_error, standard_error

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.models.forecaster import Forecaster


@dataclass(frozen=True)
class Score:
    """A model on `candles` candles: RMSE of the price and of persistence there, in price units, and the skill with its
    standard error, NaN where the price does not move.
    """

    candles: int
    rmse: float
    baseline_rmse: float
    skill: float
    skill_error: float
    p_value: float
    word: str


@dataclass(frozen=True)
class Duel:
    """Both models on the same candles; p_value is Diebold-Mariano's on squared errors of the return, two-sided.

    gain: skill of the candidate less that of the champion, with its standard error. candidate_better: whose mean loss
    is less. decided: whether there are enough candles.
    """

    candidate: Score
    champion: Score
    gain: float
    gain_error: float
    p_value: float
    candidate_better: bool
    decided: bool


@dataclass(frozen=True)
class Scored:
    """Forecasts with what came true, in time order, no NaN."""

    index: pd.DatetimeIndex
    price_now: NDArray[np.float64]
    actual_price: NDArray[np.float64]
    actual_return: NDArray[np.float64]
    forecast_return: NDArray[np.float64]


def score_all(forecaster: Forecaster, grid: pd.DataFrame, *, since: pd.Timestamp) -> Scored:
    """Every forecast made at or after `since` whose outcome is in the grid."""
    import numpy as np
    import pandas as pd

    found = forecaster.forecast(grid)["forecast_return"].to_numpy()
    close = grid["close"].to_numpy(dtype=np.float64)
    later = np.full(len(close), np.nan)
    later[: -forecaster.horizon] = close[forecaster.horizon :]
    index = pd.DatetimeIndex(grid.index)
    kept = np.isfinite(found) & np.isfinite(close) & np.isfinite(later) & np.asarray(index >= since)
    return Scored(index[kept], close[kept], later[kept], np.log(later[kept] / close[kept]), found[kept])


def score(forecaster: Forecaster, rows: Scored, *, level: float) -> Score:
    """The figures of one model; `level` is the significance level of its verdict against persistence."""

    from cryptoml.evaluation.point_metrics import root_mean_square, skill_score
    from cryptoml.evaluation.significance import verdict

    if not len(rows.index):
        return Score(0, math.nan, math.nan, math.nan, math.nan, 1.0, "ties")
    errors, no_change = _price_errors(rows), rows.actual_price - rows.price_now
    rmse, baseline = root_mean_square(errors), root_mean_square(no_change)
    found = verdict(rows.actual_return - rows.forecast_return, rows.actual_return, forecaster.horizon, level=level)
    skill, doubt = skill_score(rmse, baseline), skill_error(errors**2, no_change**2, forecaster.horizon)
    return Score(len(rows.index), rmse, baseline, skill, doubt, found.p_value, found.word)


def duel(candidate: Forecaster, champion: Forecaster, grid: pd.DataFrame, *, least: int, level: float) -> Duel:
    """Compare two models on the candles that both can forecast and neither was fitted on.

    level: significance level of the verdicts against persistence. Fewer than `least` such candles decide nothing.
    Both must have the same horizon.
    """
    import numpy as np

    from cryptoml.evaluation.significance import diebold_mariano

    since = max(unseen_from(candidate), unseen_from(champion))
    ours, theirs = (score_all(one, grid, since=since) for one in (candidate, champion))
    common = ours.index.intersection(theirs.index)
    ours, theirs = (_only(one, common) for one in (ours, theirs))
    scores = score(candidate, ours, level=level), score(champion, theirs, level=level)
    if not len(common):
        return Duel(*scores, math.nan, math.nan, 1.0, candidate_better=False, decided=False)
    mine = (ours.actual_return - ours.forecast_return) ** 2
    other = (theirs.actual_return - theirs.forecast_return) ** 2
    test = diebold_mariano(mine, other, candidate.horizon)
    return Duel(
        *scores,
        *_gain(ours, theirs, *scores, candidate.horizon),
        test.p_value,
        candidate_better=bool(np.mean(mine) < np.mean(other)),
        decided=len(common) >= least,
    )


def _gain(ours: Scored, theirs: Scored, candidate: Score, champion: Score, horizon: int) -> tuple[float, float]:
    """Return the difference of the skills and its standard error (delta method, errors of persistence fixed)."""
    if not (candidate.rmse > 0 and champion.rmse > 0 and candidate.baseline_rmse > 0):
        return math.nan, math.nan
    mine = _price_errors(ours) ** 2 / candidate.rmse
    other = _price_errors(theirs) ** 2 / champion.rmse
    spread = standard_error((other - mine) / (2 * candidate.baseline_rmse), horizon)
    return candidate.skill - champion.skill, spread


def _price_errors(rows: Scored) -> NDArray[np.float64]:
    import numpy as np

    errors: NDArray[np.float64] = rows.actual_price - rows.price_now * np.exp(rows.forecast_return)
    return errors


def unseen_from(forecaster: Forecaster) -> pd.Timestamp:
    """The first candle that had no part in fitting the model; a model that does not say has seen everything."""
    import pandas as pd

    return pd.Timestamp(forecaster.unseen_from) if forecaster.unseen_from else pd.Timestamp.max.tz_localize("UTC")


def _only(rows: Scored, index: pd.DatetimeIndex) -> Scored:
    kept = rows.index.isin(index)
    return Scored(
        rows.index[kept],
        rows.price_now[kept],
        rows.actual_price[kept],
        rows.actual_return[kept],
        rows.forecast_return[kept],
    )
