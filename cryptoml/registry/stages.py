"""The rules of stages: from where a version may go where. Pure; the store is elsewhere."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal, get_args

from cryptoml.errors import CheckFailedError, UsageError

Stage = Literal["none", "staging", "production", "archived"]
STAGES: tuple[Stage, ...] = get_args(Stage)
# Where a version may go in one step. Production is left by being replaced, archived or rolled back.
STEPS: dict[Stage, tuple[Stage, ...]] = {
    "none": ("staging", "archived"),
    "staging": ("production", "archived", "none"),
    "production": ("archived",),
    "archived": ("staging", "none"),
}


def parse_stage(text: str) -> Stage:
    """The stage in any case; raises UsageError with the nearest one."""
    plain = text.strip().lower()
    for stage in STAGES:
        if plain == stage:
            return stage
    near = get_close_matches(plain, STAGES, n=1)
    raise UsageError(
        f"{text}: there is no such stage.", hint=f"did you mean {near[0]}?" if near else f"one of {', '.join(STAGES)}"
    )


def parse_version(text: str) -> str:
    """`v3` or `3` as `3`; raises UsageError."""
    number = text.strip().lower().removeprefix("v")
    if not number.isdecimal() or int(number) < 1:
        raise UsageError(f"{text}: is no version.", hint="write v3 or 3; cryptoml promote --history shows them")
    return str(int(number))


def transition_path(now: Stage, target: Stage) -> tuple[Stage, ...]:
    """The steps from `now` to `target`; none when it is there already.

    To production the way is always through staging. Raises CheckFailedError for a way that is not allowed.
    """
    if now == target:
        return ()
    if target in STEPS[now]:
        return (target,)
    if target == "production" and "staging" in STEPS[now]:
        return ("staging", "production")
    raise CheckFailedError(
        f"a version in {now} does not go to {target}.",
        hint="promote another to production, or archive this one" if now == "production" else "see docs/registry.md",
    )
