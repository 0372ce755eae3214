"""Checks --json documents against the TypedDicts that the command functions return."""

from __future__ import annotations

import json
import types
from collections.abc import Sequence
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

from cryptoml.cli.app import COMMANDS
from cryptoml.cli.register_commands import command_function
from cryptoml.result import KINDS, STOPPED, schema_of


class Error(TypedDict):
    """Why the command failed."""

    code: Annotated[int, "exit code"]
    kind: Annotated[str, "name of the exit code"]
    message: str
    hint: Annotated[str | None, "how to fix it"]


class Envelope(TypedDict):
    """The line that every command prints with `--json`."""

    schema: Annotated[str, "`cryptoml.COMMAND/1`; `cryptoml/1` without a valid command"]
    ok: Annotated[bool, "whether the exit code is 0"]
    error: Annotated[NotRequired[Error], "when `ok` is false"]
    result: Annotated[NotRequired[Any], "when the command succeeded; also for some failures, see above"]


def documents(command: str) -> list[type]:
    """Return the TypedDicts of a command's `result`: one per mode."""
    (hint,) = get_args(get_type_hints(command_function(command), include_extras=True)["return"])
    return list(get_args(hint)) if get_origin(hint) in (Union, types.UnionType) else [hint]


def nested(typed_dict: type) -> list[type]:
    """Return a TypedDict and its nested ones, without duplicates, outer ones first."""
    found = [typed_dict]
    for document in found:
        for hint in get_type_hints(document, include_extras=True).values():
            found += [one for one in _typed_dicts_in(hint) if one not in found]
    return found


def _typed_dicts_in(hint: Any) -> list[type]:
    if is_typeddict(hint):
        return [hint]
    return [found for inner in get_args(hint) for found in _typed_dicts_in(inner)]


def check_value(value: Any, hint: Any, at: str) -> None:
    """Assert that a JSON value has exactly the type `hint`: no other keys, no missing ones, no conversions."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        check_value(value, inner[0], at)
    elif origin in (Union, types.UnionType):
        _check_one_of(value, inner, at)
    elif is_typeddict(hint):
        hints = get_type_hints(hint, include_extras=True)
        assert isinstance(value, dict), at
        assert value.keys() == hints.keys(), f"{at}: {sorted(value.keys() ^ hints.keys())}"
        for key, of_key in hints.items():
            check_value(value[key], of_key, f"{at}.{key}")
    elif origin is dict:
        assert isinstance(value, dict), at
        for key, one in value.items():
            check_value(one, inner[1], f"{at}.{key}")
    elif origin in (list, tuple):
        assert isinstance(value, list), at
        assert origin is list or len(value) == len(inner), at
        for place, one in enumerate(value):
            check_value(one, inner[0 if origin is list else place], f"{at}[{place}]")
    elif hint is float:
        assert isinstance(value, int | float), f"{at}: {value!r}"
        assert not isinstance(value, bool), at
    else:
        assert type(value) is hint, f"{at}: {value!r} is no {hint}"


def _check_one_of(value: Any, hints: Sequence[Any], at: str) -> None:
    faults = []
    for hint in hints:
        try:
            check_value(value, hint, at)
        except AssertionError as fault:
            faults.append(str(fault))
        else:
            return
    raise AssertionError("; ".join(faults))


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
        command = next(name for name in COMMANDS if schema_of(name) == envelope["schema"])
        _check_one_of(envelope["result"], documents(command), command)
    return envelope


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
