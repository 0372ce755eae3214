"""Scores of logged forecasts whose outcome is known: skill, coverage and volatility, with their uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.evaluation.significance import Word, verdict
from cryptoml.evaluation.skill_uncertainty import skill_error, standard_error

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LoggedScores:
    """Scores of forecasts. RMSE in price units; errors are standard errors; shares are fractions.

    start, end: time of the first and the last candle, `YYYY-MM-DD HH:MM`, UTC. word, p_value: against persistence.
    coverage_p_value: Kupiec's test that the coverage is nominal, on every horizon-th forecast. return_rms: root mean
    square of the log returns, with its standard error.
    """

    n: int
    start: str
    end: str
    rmse: float
    baseline_rmse: float
    skill: float
    skill_error: float
    word: Word
    p_value: float
    covered: float
    coverage_error: float
    coverage_p_value: float
    interval_level: float
    return_rms: float
    return_rms_error: float


def score_logged(rows: pd.DataFrame, horizon: int, *, level: float) -> LoggedScores:
    """Score forecasts in time order; columns as in the forecast log, and actual_price; not empty, no NaN.

    level: significance level of the verdict.
    """
    import numpy as np

    from cryptoml.evaluation.coverage import kupiec_p_value
    from cryptoml.evaluation.point_metrics import root_mean_square, skill_score

    actual, now = rows["actual_price"].to_numpy(), rows["price_now"].to_numpy()
    returns = np.log(actual / now)
    errors, no_change = actual - rows["forecast_price"].to_numpy(), actual - now
    rmse, baseline = root_mean_square(errors), root_mean_square(no_change)
    found = verdict(returns - rows["forecast_return"].to_numpy(), returns, horizon, level=level)
    inside = (actual >= rows["lower_price"].to_numpy()) & (actual <= rows["upper_price"].to_numpy())
    nominal = float(rows["interval_level"].iloc[-1])
    rms = root_mean_square(returns)
    return LoggedScores(
        n=len(rows),
        start=f"{rows.index[0]:%Y-%m-%d %H:%M}",
        end=f"{rows.index[-1]:%Y-%m-%d %H:%M}",
        rmse=rmse,
        baseline_rmse=baseline,
        skill=skill_score(rmse, baseline),
        skill_error=skill_error(errors**2, no_change**2, horizon),
        word=found.word,
        p_value=found.p_value,
        covered=float(np.mean(inside)),
        coverage_error=standard_error(inside.astype(np.float64), horizon),
        coverage_p_value=kupiec_p_value(inside[::horizon], nominal),
        interval_level=nominal,
        return_rms=rms,
        return_rms_error=standard_error(returns**2, horizon) / (2 * rms) if rms > 0 else math.nan,
    )
