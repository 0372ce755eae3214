"""The schema of each command's --json, read from the type that its function returns; checks and describes documents."""

from __future__ import annotations

import json
import types
from functools import cache, reduce
from operator import or_
from typing import (
    Annotated,
    Any,
    NotRequired,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from pydantic import ConfigDict, TypeAdapter

from cryptoml.cli.app import COMMANDS
from cryptoml.cli.register_commands import command_function
from cryptoml.result import KINDS, STOPPED, schema_of


class Error(TypedDict):
    """Why the command failed."""

    code: Annotated[int, "exit code"]
    kind: Annotated[str, "the exit code in a word"]
    message: str
    hint: Annotated[str | None, "what to do about it"]


class Envelope(TypedDict):
    """The line that every command prints with `--json`."""

    schema: Annotated[str, "`cryptoml.COMMAND/1`; `cryptoml/1` when the command line names no command"]
    ok: Annotated[bool, "whether the exit code is 0"]
    error: Annotated[NotRequired[Error], "when `ok` is false"]
    result: Annotated[NotRequired[Any], "when the command ran through; also of some that fail, see below"]


def documents(command: str) -> list[type]:
    """The TypedDicts of a command's `result`: one, or one for each mode."""
    (hint,) = get_args(get_type_hints(command_function(command), include_extras=True)["return"])
    return list(get_args(hint)) if get_origin(hint) in (Union, types.UnionType) else [hint]


def nested(typed_dict: type) -> list[type]:
    """A TypedDict and those within it, each once, outer ones first."""
    found = [typed_dict]
    for document in found:
        for hint in get_type_hints(document, include_extras=True).values():
            found += [one for one in _typed_dicts_in(hint) if one not in found]
    return found


def _typed_dicts_in(hint: Any) -> list[type]:
    if is_typeddict(hint):
        return [hint]
    return [found for inner in get_args(hint) for found in _typed_dicts_in(inner)]


@cache
def _adapter(schema: str) -> TypeAdapter[Any]:
    """Validates the `result` of a schema strictly: no other keys, no conversions."""
    command = next(name for name in COMMANDS if schema_of(name) == schema)
    chosen = documents(command)
    for document in chosen:
        for one in nested(document):
            one.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[attr-defined]
    return TypeAdapter(reduce(or_, chosen))


def check_envelope(line: str, code: int) -> dict[str, Any]:
    """The envelope in `line`; it must be valid, agree with the exit code, and hold a valid result."""
    envelope: dict[str, Any] = json.loads(line, parse_constant=_refuse)
    assert set(envelope) <= {"schema", "ok", "error", "result"}, envelope
    assert envelope["ok"] is (code == 0), envelope
    assert ("error" in envelope) is not envelope["ok"], envelope
    assert envelope["ok"] <= ("result" in envelope), envelope
    if "error" in envelope:
        error = envelope["error"]
        assert set(error) == {"code", "kind", "message", "hint"}
        assert error["code"] == code
        assert error["kind"] == (STOPPED if code > 128 else KINDS[code])
        assert error["message"]
        assert error["hint"] is None or error["hint"]
    if "result" in envelope:
        _adapter(envelope["schema"]).validate_json(json.dumps(envelope["result"]))
    return envelope


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
