"""The return value of a command function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from cryptoml.result import Failure

Document = TypeVar("Document")


@dataclass(frozen=True)
class Outcome(Generic[Document]):
    """The result of a command; `Document` is the TypedDict that describes `document`.

    document: the `result` of --json. show: prints the result when --json is not given. failure: set if the command
    has a result but a nonzero exit code. failure_shown: whether `show` also prints the failure.
    """

    document: Mapping[str, object]
    show: Callable[[], None]
    failure: Failure | None = None
    failure_shown: bool = False
