"""The registration gate: decide whether a run's model may be registered, with reasons.

A pure function of `GateInput`, without access to a store.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cryptoml.evaluation.figures import figure

Verdict = Literal["beats", "ties", "worse"]

# By how much the coverage may be below the nominal one, without a minimum in the config.
MAX_MISSING = 0.1


@dataclass(frozen=True)
class ChampionDuel:
    """Candidate and production model on the same candles; RMSE in price units.

    p_value: two-sided Diebold-Mariano test.
    """

    version: str
    candidate_rmse: float
    champion_rmse: float
    p_value: float


@dataclass(frozen=True)
class GateInput:
    """Evaluation of a candidate.

    verdict: comparison with persistence, and its p-value, adjusted for the number of models. shrinkage: factor of the
    forecasts. skill: 1 - RMSE / RMSE of persistence on the hold-out.
    coverage: share of the hold-out inside the prediction interval, whose nominal coverage is `interval_level`.
    data_problems: a sentence for each data check that failed.
    """

    verdict: Verdict
    p_value: float
    skill: float
    shrinkage: float
    cv_rmse_mean: float
    coverage: float
    interval_level: float
    data_problems: tuple[str, ...] = ()
    champion: ChampionDuel | None = None


@dataclass(frozen=True)
class GateThresholds:
    """Requirements for a candidate; `level`: significance level of the duel with the champion.

    min_coverage: of the prediction interval; None: MAX_MISSING below its nominal coverage.
    """

    min_skill: float = -0.001
    min_coverage: float | None = None
    require: Literal["tie", "beats"] = "tie"
    level: float = 0.05


@dataclass(frozen=True)
class GateDecision:
    """reasons: why the gate failed, empty if it passed. warnings: notes that do not fail the gate."""

    passed: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def decide(candidate: GateInput, thresholds: GateThresholds | None = None) -> GateDecision:
    """Apply all rules; each violated rule adds a reason."""
    limits = thresholds or GateThresholds()
    reasons = [
        *_says_nothing(candidate),
        *_against_persistence(candidate, limits),
        *_skill(candidate, limits),
        *_finite(candidate),
        *_coverage(candidate, limits),
        *_against_champion(candidate, limits),
        *(f"The data failed a check: {problem.rstrip('.')}." for problem in candidate.data_problems),
    ]
    return GateDecision(not reasons, tuple(reasons), tuple(_warnings(candidate)))


def _says_nothing(candidate: GateInput) -> list[str]:
    if candidate.shrinkage != 0:
        return []
    return ['Every forecast is "no change": the folds show nothing that the model can forecast (shrinkage 0).']


def _against_persistence(candidate: GateInput, limits: GateThresholds) -> list[str]:
    p = f"p = {figure(candidate.p_value, '.3g')}"
    if candidate.verdict == "worse":
        return [f"The forecasts are significantly worse than persistence, the forecast of no change ({p})."]
    if candidate.verdict == "ties" and limits.require == "beats":
        return [f"The forecasts only tie with persistence ({p}), and the gate requires models that beat it."]
    return []


def _skill(candidate: GateInput, limits: GateThresholds) -> list[str]:
    if not math.isfinite(candidate.skill):
        return ["The hold-out skill is not a finite number."]
    if candidate.skill < limits.min_skill:
        return [f"The hold-out skill of {candidate.skill:.3%} is below the minimum of {limits.min_skill:.3%}."]
    return []


def _finite(candidate: GateInput) -> list[str]:
    if math.isfinite(candidate.cv_rmse_mean):
        return []
    return ["The cross-validated RMSE is not a finite number."]


def _coverage(candidate: GateInput, limits: GateThresholds) -> list[str]:
    if not math.isfinite(candidate.coverage):
        return ["The coverage of the prediction interval is not a finite number."]
    least = candidate.interval_level - MAX_MISSING if limits.min_coverage is None else limits.min_coverage
    if candidate.coverage >= least:
        return []
    return [
        f"The {candidate.interval_level:.0%} prediction interval covers {candidate.coverage:.1%} of the hold-out, "
        f"and at least {least:.1%} are required."
    ]


def _against_champion(candidate: GateInput, limits: GateThresholds) -> list[str]:
    duel = candidate.champion
    if duel is None or not (duel.candidate_rmse > duel.champion_rmse and duel.p_value < limits.level):
        return []
    return [
        f"On the same candles, the model is significantly worse than version {duel.version} in production: "
        f"RMSE {figure(duel.candidate_rmse, '.6g')} versus {figure(duel.champion_rmse, '.6g')} "
        f"(p = {duel.p_value:.3g})."
    ]


def _warnings(candidate: GateInput) -> list[str]:
    if candidate.verdict != "ties":
        return []
    return [
        f"The forecasts tie with persistence (p = {figure(candidate.p_value, '.3g')}): "
        "there is no evidence that they are better than the forecast of no change."
    ]
