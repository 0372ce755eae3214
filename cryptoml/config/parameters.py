"""Hyper-parameters as pydantic models: the base class, the allowed values as messages, and one message per error."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import NoneType
from typing import Any, Literal, Protocol, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
# Errors of pydantic that come down to a value outside the allowed ones.
_OWN_WORDS = ("value_error", "assertion_error")


class Parameters(BaseModel):
    """Base class of a model's hyper-parameters.

    Each field has a default, `ge` and `le` or a Literal of choices, and a description. Values are not converted,
    except from int to float; unknown names are errors.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True, hide_input_in_errors=True
    )


class Configurable(Protocol):
    """What the config must know of a model."""

    @property
    def parameters(self) -> type[Parameters]:
        """The class of its hyper-parameters."""

    @property
    def is_baseline(self) -> bool:
        """Whether it is trained in any case, without being asked for."""


def allowed(field: FieldInfo) -> str:
    """The allowed values in short: `1 to 5,000`, or the choices."""
    if choices := _choices(field):
        return ", ".join(map(str, choices))
    low, high = _bound(field, "ge"), _bound(field, "le")
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    return f"at least {_number(low)}" if low is not None else f"at most {_number(high)}" if high is not None else ""


def problems(parameters: type[Parameters], given: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the given values, by name; "" stands for all of them together."""
    try:
        parameters.model_validate(given)
    except ValidationError as error:
        return {".".join(map(str, one["loc"][:1])): _message(parameters, one) for one in error.errors()}
    return {}


def nearest(name: str, known: Mapping[str, Any]) -> str:
    """The end of a message about an unknown name: the most similar known one, or all of them."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}" if known else ""


def _message(parameters: type[Parameters], error: Any) -> str:
    fields = parameters.model_fields
    name = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return f"there is no such parameter{nearest(name, fields)}"
    if error["type"] in _OWN_WORDS or name not in fields:
        return str(error["ctx"]["error"]) if "error" in error.get("ctx", {}) else str(error["msg"])
    return f"must be {_expected(fields[name])}, not {error['input']!r:.100}"


def _expected(field: FieldInfo) -> str:
    """The allowed values as a part of a sentence: `a whole number from 1 to 5,000`."""
    values = allowed(field)
    if _choices(field):
        return f"one of {values}"
    kinds = [kind for kind in _types(field) if kind is not NoneType]
    words = " or ".join(_KINDS.get(kind, str(kind)) for kind in kinds)
    words += f" from {values}" if " to " in values else f" of {values}" if values else ""
    return f"{words} or null" if NoneType in _types(field) else words


def _types(field: FieldInfo) -> tuple[Any, ...]:
    return get_args(field.annotation) or (field.annotation,)


def _choices(field: FieldInfo) -> tuple[Any, ...]:
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def _bound(field: FieldInfo, name: str) -> float | None:
    return next((getattr(one, name) for one in field.metadata if hasattr(one, name)), None)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
