"""What a workflow tells its caller while it works; the command line decides how to show it.

Nothing below `cli/` prints. A workflow takes `on_event` and calls it with one of these.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class Info(Event):
    """Something worth a line."""

    text: str


@dataclass(frozen=True)
class Warned(Event):
    """A warning that the user should act on; the command continues."""

    text: str


@dataclass(frozen=True)
class StepStarted(Event):
    """A step with a known or unknown (None) number of parts begins."""

    step: str
    total: int | None = None


@dataclass(frozen=True)
class StepAdvanced(Event):
    """One more part of `step` is done; `detail` says which."""

    step: str
    detail: str = ""
    parts: int = 1


@dataclass(frozen=True)
class StepFinished(Event):
    """`step` is over."""

    step: str
    seconds: float


OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener for callers that want no news."""
