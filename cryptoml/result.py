"""The result of a command, and the single line of JSON that carries it or the error.

How a result is shown on a terminal is the command line's business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from cryptoml.errors import CryptomlError

KINDS = {
    1: "unexpected",
    2: "usage",
    3: "config",
    4: "data",
    5: "unavailable",
    6: "check_failed",
    7: "access",
}
STOPPED = "stopped"


@dataclass(frozen=True)
class Failure:
    """Why a command exits with `code`, which is not 0; hint: what to do about it, empty when nothing is known."""

    code: int
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: CryptomlError) -> Failure:
        """The failure that `error` stands for."""
        return cls(error.exit_code, error.fact, error.hint)

    @property
    def kind(self) -> str:
        """The exit code in a word; `stopped` for 128 + a signal's number."""
        return STOPPED if self.code > 128 else KINDS.get(self.code, KINDS[1])

    def to_dict(self) -> dict[str, object]:
        """The failure as the envelope has it."""
        return {"code": self.code, "kind": self.kind, "message": self.message, "hint": self.hint or None}


def schema_of(command: str) -> str:
    """The name of a command's schema; with an empty `command` that of a command line without a valid one."""
    return f"cryptoml.{command}/1" if command else "cryptoml/1"


def json_line(schema: str, *, result: Mapping[str, object] | None = None, failure: Failure | None = None) -> str:
    """The envelope in one line, without the line break: `result`, `error` or both. NaN and infinity become null."""
    envelope: dict[str, object] = {"schema": schema, "ok": failure is None}
    if failure is not None:
        envelope["error"] = failure.to_dict()
    if result is not None:
        envelope["result"] = result
    return json.dumps(finite_or_none(envelope), default=str, allow_nan=False)


def finite_or_none(value: Any) -> Any:
    """A value as JSON can hold it: NaN and infinity are None, within mappings and sequences too."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite_or_none(inner) for name, inner in value.items()}
    return [finite_or_none(inner) for inner in value] if isinstance(value, list | tuple) else value
