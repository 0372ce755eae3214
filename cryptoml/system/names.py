"""Which names MLflow takes for experiments and registered models, whatever store is behind it."""

from __future__ import annotations

MAX_LENGTH = 200


def check_model_name(text: str) -> str:
    """`text`, if it can name a registered model; raises ValueError otherwise."""
    if any(sign in text for sign in "/:"):
        raise ValueError("a registered model's name cannot contain '/' or ':'")
    if text.startswith("."):
        raise ValueError("a registered model's name cannot begin with a dot")
    return _check(text)


def check_experiment_name(text: str) -> str:
    """`text`, if it can name an experiment; raises ValueError otherwise."""
    return _check(text)


def _check(text: str) -> str:
    if not text.strip():
        raise ValueError("a name is needed, not blanks")
    if text != text.strip() or not text.isprintable():
        raise ValueError("the name begins or ends with a blank, or contains characters that cannot be printed")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the name has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    return text
