"""Progress events of workflows, passed to their `on_event` callback; only the command line prints them."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Base class of all events."""


@dataclass(frozen=True)
class Info(Event):
    """A message for the user."""

    text: str


@dataclass(frozen=True)
class Warned(Event):
    """A warning that the user should act on; the command continues."""

    text: str


@dataclass(frozen=True)
class StepStarted(Event):
    """A step has started. total: its number of parts; None if unknown."""

    step: str
    total: int | None = None


@dataclass(frozen=True)
class StepAdvanced(Event):
    """Parts of `step` are finished. detail: description of the part."""

    step: str
    detail: str = ""
    parts: int = 1


@dataclass(frozen=True)
class StepFinished(Event):
    """`step` has finished."""

    step: str
    seconds: float


OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Discard an event: the default callback."""
