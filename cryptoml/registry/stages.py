"""Stages and their allowed transitions; pure functions without a store."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal, get_args

from cryptoml.errors import CheckFailedError, UsageError

Stage = Literal["none", "staging", "production", "archived"]
STAGES: tuple[Stage, ...] = get_args(Stage)
# Allowed single-step transitions. A version leaves production when it is replaced, archived or rolled back.
STEPS: dict[Stage, tuple[Stage, ...]] = {
    "none": ("staging", "archived"),
    "staging": ("production", "archived", "none"),
    "production": ("archived",),
    "archived": ("staging", "none"),
}


def parse_stage(text: str) -> Stage:
    """Parse a stage name, case-insensitively; raise UsageError with the most similar name."""
    plain = text.strip().lower()
    for stage in STAGES:
        if plain == stage:
            return stage
    near = get_close_matches(plain, STAGES, n=1)
    raise UsageError(
        f"{text}: is not a stage.", hint=f"did you mean {near[0]}?" if near else f"one of {', '.join(STAGES)}"
    )


def transition_path(now: Stage, target: Stage) -> tuple[Stage, ...]:
    """Return the steps from `now` to `target`; empty if they are the same.

    Production is only reached through staging. Raises CheckFailedError for a transition that is not allowed.
    """
    if now == target:
        return ()
    if target in STEPS[now]:
        return (target,)
    if target == "production" and "staging" in STEPS[now]:
        return ("staging", "production")
    raise CheckFailedError(
        f"a version in {now} cannot be moved to {target}.",
        hint="promote another version to production, or archive this one"
        if now == "production"
        else "see docs/registry.md",
    )
