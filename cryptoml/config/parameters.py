"""The base class of hyperparameters, which are pydantic models, and their error messages."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import NoneType
from typing import Any, Literal, Protocol, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

_TYPE_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}
# pydantic errors raised by a validator, which has a message of its own.
_CUSTOM_ERRORS = ("value_error", "assertion_error")


class Parameters(BaseModel):
    """Base class of the hyperparameters of a model.

    Each field has a default, a description, and either `ge` and `le` or a Literal type. Values are not converted,
    except int to float; unknown names are errors.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True, hide_input_in_errors=True
    )


class Configurable(Protocol):
    """What the config requires of a model."""

    @property
    def parameters(self) -> type[Parameters]:
        """The class of its hyperparameters."""

    @property
    def is_baseline(self) -> bool:
        """Whether it is always trained."""


def allowed_values(field: FieldInfo) -> str:
    """Return the allowed values: a range such as `1 to 5,000`, or the choices."""
    if choices := _choices(field):
        return ", ".join(map(str, choices))
    low, high = _bound(field, "ge"), _bound(field, "le")
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    return f"at least {_number(low)}" if low is not None else f"at most {_number(high)}" if high is not None else ""


def parameter_errors(parameters: type[Parameters], given: Mapping[str, Any]) -> dict[str, str]:
    """Return the error message of each wrong parameter, by name; the key "" is for all parameters together."""
    try:
        parameters.model_validate(given)
    except ValidationError as error:
        return {".".join(map(str, detail["loc"][:1])): _message(parameters, detail) for detail in error.errors()}
    return {}


def suggestion(name: str, valid: Mapping[str, Any]) -> str:
    """Return the end of a message about an unknown name: the most similar valid name, or all valid names."""
    close = get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; valid names: {', '.join(valid)}" if valid else ""


def _message(parameters: type[Parameters], error: Any) -> str:
    fields = parameters.model_fields
    name = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return f"unknown parameter{suggestion(name, fields)}"
    if error["type"] in _CUSTOM_ERRORS or name not in fields:
        return str(error["ctx"]["error"]) if "error" in error.get("ctx", {}) else str(error["msg"])
    return f"must be {_expected(fields[name])}, not {error['input']!r:.100}"


def _expected(field: FieldInfo) -> str:
    """Return the allowed values for a message: `an integer from 1 to 5,000`."""
    values = allowed_values(field)
    if _choices(field):
        return f"one of {values}"
    types = [field_type for field_type in _types(field) if field_type is not NoneType]
    expected = " or ".join(_TYPE_NAMES.get(field_type, str(field_type)) for field_type in types)
    expected += f" from {values}" if " to " in values else f" of {values}" if values else ""
    return f"{expected} or null" if NoneType in _types(field) else expected


def _types(field: FieldInfo) -> tuple[Any, ...]:
    return get_args(field.annotation) or (field.annotation,)


def _choices(field: FieldInfo) -> tuple[Any, ...]:
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def _bound(field: FieldInfo, name: str) -> float | None:
    return next((getattr(constraint, name) for constraint in field.metadata if hasattr(constraint, name)), None)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
