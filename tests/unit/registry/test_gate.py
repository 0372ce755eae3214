"""The registration gate: each rule alone fails it with its values; a valid candidate passes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cryptoml.registry.gate import ChampionDuel, GateInput, GateThresholds, decide

SOUND = GateInput(
    verdict="beats", p_value=0.01, skill=0.002, shrinkage=0.5, cv_rmse_mean=12.5, coverage=0.9, interval_level=0.9
)
DUEL = ChampionDuel("3", candidate_rmse=101.0, champion_rmse=100.0, p_value=0.01)


def test_a_valid_candidate_passes_without_warnings() -> None:
    decision = decide(SOUND)
    assert (decision.passed, decision.reasons, decision.warnings) == (True, (), ())


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (replace(SOUND, verdict="worse", p_value=0.004), ("worse than persistence", "p = 0.004")),
        (replace(SOUND, skill=-0.0011), ("-0.110%", "-0.100%")),
        (replace(SOUND, skill=math.nan), ("skill is not a finite number",)),
        (replace(SOUND, cv_rmse_mean=math.nan), ("cross-validated RMSE is not a finite number",)),
        (replace(SOUND, cv_rmse_mean=math.inf), ("cross-validated RMSE is not a finite number",)),
        (replace(SOUND, champion=DUEL), ("version 3 in production", "101", "100", "p = 0.01")),
        (replace(SOUND, data_problems=("7 % of the candles are missing",)), ("failed a check: 7 % of the",)),
    ],
)
def test_each_rule_alone_fails_the_gate(candidate: GateInput, words: tuple[str, ...]) -> None:
    decision = decide(candidate)
    assert not decision.passed
    assert len(decision.reasons) == 1
    assert all(word in decision.reasons[0] for word in words)
    assert decision.reasons[0].endswith(".")


def test_limits_are_inclusive() -> None:
    assert decide(replace(SOUND, skill=-0.001)).passed
    assert decide(replace(SOUND, champion=replace(DUEL, p_value=0.05))).passed


def test_a_champion_that_is_not_significantly_better_does_not_block() -> None:
    assert decide(replace(SOUND, champion=replace(DUEL, p_value=0.2))).passed
    assert decide(replace(SOUND, champion=replace(DUEL, candidate_rmse=99.0))).passed


def test_a_tie_passes_with_a_warning_unless_the_gate_is_strict() -> None:
    tie = replace(SOUND, verdict="ties", p_value=0.4)
    decision = decide(tie)
    assert decision.passed
    assert len(decision.warnings) == 1
    assert "tie with persistence (p = 0.4)" in decision.warnings[0]
    strict = decide(tie, GateThresholds(require="beats"))
    assert not strict.passed
    assert "only tie" in strict.reasons[0]
    assert decide(SOUND, GateThresholds(require="beats")).passed


def test_thresholds_are_applied() -> None:
    assert not decide(SOUND, GateThresholds(min_skill=0.01)).passed
    assert decide(replace(SOUND, champion=DUEL), GateThresholds(level=0.001)).passed


def test_every_violated_rule_adds_a_reason() -> None:
    worst = GateInput(
        verdict="worse",
        p_value=0.001,
        skill=-0.5,
        shrinkage=0.0,
        cv_rmse_mean=math.nan,
        coverage=0.7,
        interval_level=0.9,
        data_problems=("a.", "b"),
        champion=DUEL,
    )
    reasons = decide(worst).reasons
    assert len(reasons) == 8
    assert reasons[-2:] == ("The data failed a check: a.", "The data failed a check: b.")


def test_the_coverage_of_the_interval_has_a_minimum() -> None:
    low = replace(SOUND, coverage=0.79)
    (reason,) = decide(low).reasons
    assert reason == "The 90% prediction interval covers 79.0% of the hold-out, and at least 80.0% are required."
    assert decide(replace(low, interval_level=0.8)).passed
    assert decide(low, GateThresholds(min_coverage=0.75)).passed
    assert not decide(SOUND, GateThresholds(min_coverage=0.95)).passed
    assert decide(replace(SOUND, coverage=math.nan)).reasons == (
        "The coverage of the prediction interval is not a finite number.",
    )


def test_a_model_that_forecasts_no_change_everywhere_fails() -> None:
    (reason,) = decide(replace(SOUND, shrinkage=0.0)).reasons
    assert reason.startswith('Every forecast is "no change"')
