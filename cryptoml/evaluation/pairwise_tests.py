"""Every forecast against every other one, with p-values adjusted for the number of tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from cryptoml.evaluation.metrics import skill_score
from cryptoml.evaluation.significance import diebold_mariano, holm

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Pair:
    """Two forecasts on the `n` outcomes that both forecast; `better` has the smaller mean squared error.

    gain: share by which its root mean squared error is smaller, NaN where both are 0; p_value: Diebold-Mariano,
    two-sided; p_adjusted: after Holm (1979) over all pairs of the comparison.
    """

    better: str
    other: str
    n: int
    gain: float
    p_value: float
    p_adjusted: float


def compare_pairs(losses: Mapping[str, pd.Series[float]], horizon: int) -> list[Pair]:
    """All pairs of forecasts, the least p-value first.

    losses: name -> squared errors of the log return by time, ascending, no NaN. Pairs without common times are
    left out.
    """
    import numpy as np

    found = []
    for one, two in combinations(losses, 2):
        common = losses[one].index.intersection(losses[two].index)
        if not len(common):
            continue
        mine, other = (np.asarray(losses[name].loc[common], dtype=np.float64) for name in (one, two))
        test = diebold_mariano(mine, other, horizon)
        means = float(np.mean(mine)), float(np.mean(other))
        names = (one, two) if means[0] <= means[1] else (two, one)
        gain = skill_score(min(means) ** 0.5, max(means) ** 0.5)
        found.append(Pair(*names, len(common), gain, test.p_value, test.p_value))
    adjusted = holm([pair.p_value for pair in found])
    told = [replace(pair, p_adjusted=p) for pair, p in zip(found, adjusted, strict=True)]
    return sorted(told, key=lambda pair: (pair.p_value, pair.better, pair.other))
