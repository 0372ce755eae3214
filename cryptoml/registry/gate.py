"""The gate: may a run's model enter the registry? A pure function that answers with reasons.

It knows no store. What it is told about the candidate, the champion and the data is `GateInput`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cryptoml.evaluation.figures import figure

Word = Literal["beats", "ties", "worse"]


@dataclass(frozen=True)
class ChampionDuel:
    """Candidate against the model in production, on the same candles. `p_value` is Diebold-Mariano's, two-sided.

    RMSE in price units.
    """

    version: str
    candidate_rmse: float
    champion_rmse: float
    p_value: float


@dataclass(frozen=True)
class GateInput:
    """What is known of a candidate.

    `verdict` is against persistence with its `p_value`; `skill` is 1 - RMSE / RMSE of persistence on the
    hold-out; `data_problems` are sentences, one for each check that the data failed.
    """

    verdict: Word
    p_value: float
    skill: float
    cv_rmse_mean: float
    data_problems: tuple[str, ...] = ()
    champion: ChampionDuel | None = None


@dataclass(frozen=True)
class GateThresholds:
    """What is asked of a candidate; `level` is the significance of the duel with the champion."""

    min_skill: float = -0.001
    require: Literal["tie", "beats"] = "tie"
    level: float = 0.05


@dataclass(frozen=True)
class GateDecision:
    """`reasons` say why not, and are empty when the gate is passed; `warnings` say what to know all the same."""

    passed: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def decide(candidate: GateInput, thresholds: GateThresholds | None = None) -> GateDecision:
    """Apply every rule; each one broken gives a reason of its own."""
    asked = thresholds or GateThresholds()
    reasons = [
        *_against_persistence(candidate, asked),
        *_skill(candidate, asked),
        *_finite(candidate),
        *_against_champion(candidate, asked),
        *(f"The data failed a check: {problem.rstrip('.')}." for problem in candidate.data_problems),
    ]
    return GateDecision(not reasons, tuple(reasons), tuple(_warnings(candidate)))


def _against_persistence(candidate: GateInput, asked: GateThresholds) -> list[str]:
    p = f"p = {figure(candidate.p_value, '.3g')}"
    if candidate.verdict == "worse":
        return [f"The forecasts are significantly worse than persistence, the forecast of no change ({p})."]
    if candidate.verdict == "ties" and asked.require == "beats":
        return [f"The forecasts only tie with persistence ({p}), and the gate asks for models that beat it."]
    return []


def _skill(candidate: GateInput, asked: GateThresholds) -> list[str]:
    if not math.isfinite(candidate.skill):
        return ["The hold-out skill is not a finite number."]
    if candidate.skill < asked.min_skill:
        return [f"The hold-out skill of {candidate.skill:.3%} is below the least allowed, {asked.min_skill:.3%}."]
    return []


def _finite(candidate: GateInput) -> list[str]:
    if math.isfinite(candidate.cv_rmse_mean):
        return []
    return ["The cross-validated RMSE is not a finite number."]


def _against_champion(candidate: GateInput, asked: GateThresholds) -> list[str]:
    duel = candidate.champion
    if duel is None or not (duel.candidate_rmse > duel.champion_rmse and duel.p_value < asked.level):
        return []
    return [
        f"On the same candles it is significantly worse than version {duel.version} in production: "
        f"RMSE {figure(duel.candidate_rmse, '.6g')} against {figure(duel.champion_rmse, '.6g')} "
        f"(p = {duel.p_value:.3g})."
    ]


def _warnings(candidate: GateInput) -> list[str]:
    if candidate.verdict != "ties":
        return []
    return [
        f"The forecasts tie with persistence (p = {figure(candidate.p_value, '.3g')}): "
        "they are not shown to be better than the forecast of no change."
    ]
