"""What a command function returns: its result, how to show it, and why it fails although it has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from cryptoml.result import Failure

Document = TypeVar("Document")


@dataclass(frozen=True)
class Outcome(Generic[Document]):
    """The end of a command that ran through. Document: the TypedDict that describes `document`.

    document: `result` of --json. show: prints it for people, without --json. failure: set where the command exits
    with another code than 0 although it has a result. failure_shown: `show` says what the failure is.
    """

    document: Mapping[str, object]
    show: Callable[[], None]
    failure: Failure | None = None
    failure_shown: bool = False
