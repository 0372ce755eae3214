"""Which candles a candidate and a champion are compared on, by hand-made forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from cryptoml.registry.duel import duel

HOURS = 40
INDEX = pd.date_range("2024-01-01", periods=HOURS, freq="h", tz="UTC", name="timestamp")
RETURNS = 0.01 * np.sin(np.arange(HOURS))
GRID = pd.DataFrame({"close": 100 * np.exp(np.cumsum(RETURNS))}, index=INDEX)


@dataclass(frozen=True)
class Told:
    """Forecasts the share `wisdom` of the next return, from the hour `first` on."""

    wisdom: float
    unseen_from: str
    first: int = 0
    horizon: int = 1

    def forecast(self, grid: pd.DataFrame) -> pd.DataFrame:
        found = self.wisdom * np.append(RETURNS[1:], 0.0)
        found[: self.first] = np.nan
        return pd.DataFrame({"forecast_return": found}, index=grid.index)


def compared(candidate: Told, champion: Told, least: int = 5, *, grid: pd.DataFrame = GRID, level: float = 0.05) -> Any:
    return duel(cast("Any", candidate), cast("Any", champion), grid, least=least, level=level)


@pytest.mark.parametrize(("ours", "theirs"), [(10, 30), (30, 10)])
def test_only_candles_that_neither_has_seen_count(ours: int, theirs: int):
    found = compared(Told(0.5, f"{INDEX[ours]}"), Told(0.1, f"{INDEX[theirs]}"))
    # The last hour's outcome is not known yet.
    assert (found.candidate.candles, found.champion.candles) == (9, 9)
    assert found.candidate_better
    assert found.decided


def test_only_candles_that_both_forecast_count():
    found = compared(Told(0.5, f"{INDEX[0]}", first=20), Told(0.1, f"{INDEX[10]}"))
    assert (found.candidate.candles, found.champion.candles) == (19, 19)
    assert found.champion.rmse > found.candidate.rmse


@pytest.mark.parametrize(("least", "decided"), [(9, True), (10, False)])
def test_fewer_candles_than_asked_for_decide_nothing(least: int, decided: bool):
    assert compared(Told(0.5, f"{INDEX[30]}"), Told(0.1, f"{INDEX[0]}"), least).decided is decided


def test_a_model_that_does_not_say_what_it_has_seen_has_seen_everything():
    found = compared(Told(0.5, ""), Told(0.1, f"{INDEX[0]}"))
    assert (found.candidate.candles, found.decided, found.candidate_better) == (0, False, False)


def test_the_significance_level_decides_the_verdict():
    candidate, champion = Told(0.3, f"{INDEX[34]}"), Told(0.1, f"{INDEX[0]}")
    p = compared(candidate, champion).candidate.p_value
    assert 0 < p < 0.4
    assert compared(candidate, champion, level=1.1 * p).candidate.word == "beats"
    assert compared(candidate, champion, level=0.9 * p).candidate.word == "ties"


def test_skill_is_nan_where_the_price_does_not_move():
    still = GRID.assign(close=100.0)
    assert np.isnan(compared(Told(0.5, f"{INDEX[0]}"), Told(0.1, f"{INDEX[0]}"), grid=still).candidate.skill)
