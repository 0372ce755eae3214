"""Allowed transitions: every pair of stages."""

from __future__ import annotations

import pytest

from cryptoml.errors import CheckFailedError, UsageError
from cryptoml.registry.stages import STAGES, Stage, parse_stage, transition_path

WAYS: dict[tuple[Stage, Stage], tuple[Stage, ...]] = {
    ("none", "staging"): ("staging",),
    ("none", "production"): ("staging", "production"),
    ("none", "archived"): ("archived",),
    ("staging", "production"): ("production",),
    ("staging", "archived"): ("archived",),
    ("staging", "none"): ("none",),
    ("production", "archived"): ("archived",),
    ("archived", "staging"): ("staging",),
    ("archived", "production"): ("staging", "production"),
    ("archived", "none"): ("none",),
}


@pytest.mark.parametrize("now", STAGES)
@pytest.mark.parametrize("target", STAGES)
def test_each_transition_is_allowed_or_rejected(now: Stage, target: Stage) -> None:
    if now == target:
        assert transition_path(now, target) == ()
    elif (now, target) in WAYS:
        assert transition_path(now, target) == WAYS[now, target]
    else:
        with pytest.raises(CheckFailedError, match=f"a version in {now} cannot be moved to {target}"):
            transition_path(now, target)


@pytest.mark.parametrize("text", ["production", "PRODUCTION", " Production "])
def test_stage_names_are_case_insensitive(text: str) -> None:
    assert parse_stage(text) == "production"


def test_an_unknown_stage_suggests_the_most_similar() -> None:
    with pytest.raises(UsageError) as caught:
        parse_stage("prodution")
    assert "did you mean production?" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        parse_stage("xyz")
    assert "none, staging, production, archived" in caught.value.hint
