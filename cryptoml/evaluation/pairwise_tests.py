"""Pairwise tests between models, with p-values adjusted for multiple testing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from cryptoml.evaluation.point_metrics import skill_score
from cryptoml.evaluation.significance import diebold_mariano, holm

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Pair:
    """Two models on their `n` common outcomes; `better` has the lower mean squared error.

    gain: relative reduction of the root mean squared error, a fraction, NaN if both errors are 0. p_value:
    Diebold-Mariano test, two-sided. p_adjusted: adjusted by Holm (1979) over all pairs.
    """

    better: str
    other: str
    n: int
    gain: float
    p_value: float
    p_adjusted: float


def compare_pairs(losses: Mapping[str, pd.Series[float]], horizon: int) -> list[Pair]:
    """Test all pairs of models; return them by ascending p-value.

    losses: model name -> squared errors of the log return by ascending time, no NaN. Pairs without common times are
    skipped.
    """
    import numpy as np

    pairs = []
    for first, second in combinations(losses, 2):
        common = losses[first].index.intersection(losses[second].index)
        if not len(common):
            continue
        first_losses, second_losses = (
            np.asarray(losses[name].loc[common], dtype=np.float64) for name in (first, second)
        )
        test = diebold_mariano(first_losses, second_losses, horizon)
        means = float(np.mean(first_losses)), float(np.mean(second_losses))
        names = (first, second) if means[0] <= means[1] else (second, first)
        gain = skill_score(min(means) ** 0.5, max(means) ** 0.5)
        pairs.append(Pair(*names, len(common), gain, test.p_value, test.p_value))
    adjusted = holm([pair.p_value for pair in pairs])
    pairs = [replace(pair, p_adjusted=p) for pair, p in zip(pairs, adjusted, strict=True)]
    return sorted(pairs, key=lambda pair: (pair.p_value, pair.better, pair.other))
