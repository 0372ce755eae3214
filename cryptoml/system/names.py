"""Names of experiments and registered models that every MLflow store accepts."""

from __future__ import annotations

MAX_LENGTH = 200


def check_model_name(text: str) -> str:
    """Return `text` if it is a valid name of a registered model; raise ValueError otherwise."""
    if any(character in text for character in "/:"):
        raise ValueError("a registered model's name cannot contain '/' or ':'")
    if text.startswith("."):
        raise ValueError("a registered model's name cannot begin with a dot")
    return _check(text)


def check_experiment_name(text: str) -> str:
    """Return `text` if it is a valid name of an experiment; raise ValueError otherwise."""
    return _check(text)


def _check(text: str) -> str:
    if not text.strip():
        raise ValueError("the name is empty")
    if text != text.strip() or not text.isprintable():
        raise ValueError("the name begins or ends with whitespace, or contains non-printable characters")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the name has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    return text
