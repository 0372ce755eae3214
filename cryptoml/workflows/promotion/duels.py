"""What the comparison of a candidate with the version in production means for its promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptoml.evaluation.figures import figure
from cryptoml.system.plurals import counted

if TYPE_CHECKING:
    from cryptoml.registry.champion import Comparison
    from cryptoml.registry.duel import Duel, Score

KEEP = "keep"


def judge_duel(found: Comparison, level: float, *, on_tie: str) -> list[str]:
    """Return the reasons against the candidate from its comparison with the version in production."""
    if found.is_other_market:
        return [found.note]
    if found.duel is None:
        return []
    champion = f"v{found.champion}"
    reasons = [] if on_tie != KEEP and not _is_worse(found.duel, level) else _against(found.duel, champion, level)
    return reasons + [
        f"{horizon} candles ahead: {_worse_text(duel, champion)}"
        for horizon, duel in found.further.items()
        if _is_worse(duel, level)
    ]


def duel_text(duel: Duel, candidate: str, champion: str) -> str:
    """Return the scores of both, each with its standard error."""
    candles = counted(duel.candidate.candles, "candle")
    return (
        f"on the latest {candles}, new to both: {candidate} {_score(duel.candidate)}, "
        f"{champion} in production {_score(duel.champion)}; difference "
        f"{_pair(duel.gain, duel.gain_error)} points, p = {figure(duel.p_value, '.3g')}"
    )


def duel_metrics(found: Comparison) -> dict[str, float | str]:
    """Return the figures of the comparison for the ledger and --json."""
    duel = found.duel
    if duel is None:
        return {}
    return {
        "champion": f"v{found.champion}",
        "champion_rmse": duel.champion.rmse,
        "candidate_rmse": duel.candidate.rmse,
        "champion_skill": duel.champion.skill,
        "champion_skill_error": duel.champion.skill_error,
        "candidate_skill": duel.candidate.skill,
        "candidate_skill_error": duel.candidate.skill_error,
        "duel_skill_difference": duel.gain,
        "duel_skill_difference_error": duel.gain_error,
        "duel_p_value": duel.p_value,
        "duel_candles": duel.candidate.candles,
    }


def _against(duel: Duel, champion: str, level: float) -> list[str]:
    if _is_worse(duel, level):
        return [f"it is {_worse_text(duel, champion)}"]
    if not duel.decided:
        candles = counted(duel.candidate.candles, "candle")
        return [
            f"only {candles} are new to both it and {champion} in production: too few to show that it is better "
            f"(promotion.on_tie: {KEEP})"
        ]
    if duel.candidate_better and duel.p_value < level:
        return []
    return [
        f"on the same latest {counted(duel.candidate.candles, 'candle')} it ties with {champion} in production "
        f"({_score(duel.candidate)} against {_score(duel.champion)}, p = {duel.p_value:.3g}; promotion.on_tie: {KEEP})"
    ]


def _is_worse(duel: Duel, level: float) -> bool:
    return duel.decided and not duel.candidate_better and duel.p_value < level


def _worse_text(duel: Duel, champion: str) -> str:
    return (
        f"significantly worse than {champion} in production on the same latest "
        f"{counted(duel.candidate.candles, 'candle')} (RMSE {figure(duel.candidate.rmse, '.6g')} against "
        f"{figure(duel.champion.rmse, '.6g')}, p = {duel.p_value:.3g})"
    )


def _score(score: Score) -> str:
    return f"skill {_pair(score.skill, score.skill_error)} %"


def _pair(value: float, error: float) -> str:
    return f"{figure(100 * value, '+.3f')} ± {figure(100 * error, '.3f')}"
