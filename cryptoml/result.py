"""The single-line JSON envelope for the result or the error of a command."""

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
    """Why a command fails. code: its nonzero exit code; hint: how to fix it, may be empty."""

    code: int
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: CryptomlError) -> Failure:
        """Convert an error into a failure."""
        return cls(error.exit_code, error.fact, error.hint)

    @property
    def kind(self) -> str:
        """The name of the exit code; `stopped` for 128 + signal number."""
        return STOPPED if self.code > 128 else KINDS.get(self.code, KINDS[1])

    def to_dict(self) -> dict[str, object]:
        """Return the `error` object of the envelope."""
        return {"code": self.code, "kind": self.kind, "message": self.message, "hint": self.hint or None}


def schema_of(command: str) -> str:
    """Return the schema name of a command; an empty `command` stands for a command line without a valid one."""
    return f"cryptoml.{command}/1" if command else "cryptoml/1"


def json_line(schema: str, *, result: Mapping[str, object] | None = None, failure: Failure | None = None) -> str:
    """Return the envelope as one line without a line break; NaN and infinity become null."""
    envelope: dict[str, object] = {"schema": schema, "ok": failure is None}
    if failure is not None:
        envelope["error"] = failure.to_dict()
    if result is not None:
        envelope["result"] = result
    return json.dumps(finite_or_none(envelope), default=str, allow_nan=False)


def finite_or_none(value: Any) -> Any:
    """Replace NaN and infinity with None, also inside mappings and sequences."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite_or_none(inner) for name, inner in value.items()}
    return [finite_or_none(inner) for inner in value] if isinstance(value, list | tuple) else value
