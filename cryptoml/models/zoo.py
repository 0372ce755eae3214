"""The list of models. To add one, write a module with a `MODEL` and add it to MODULES; imports no model library."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

from cryptoml.errors import UsageError
from cryptoml.models.base import Model

# The modules of this package that define a model, in the order of training, tables and documentation.
MODULES = (
    "persistence",
    "forest",
    "boosting",
    "ridge",
    "xgb",
)
MODELS: dict[str, Model[Any]] = {
    model.key: model for model in (import_module(f"cryptoml.models.{name}").MODEL for name in MODULES)
}
# The key of the model that all others are compared with.
BASELINE = next(key for key, model in MODELS.items() if model.is_baseline)


def get_model(key: str) -> Model[Any]:
    """Return the model with this key; raises UsageError that names the most similar key."""
    if key in MODELS:
        return MODELS[key]
    by_long_name = {model.long_name: name for name, model in MODELS.items()}
    near = get_close_matches(key.lower(), [*MODELS, *by_long_name], n=1, cutoff=0.5)
    hint = by_long_name.get(near[0], near[0]) if near else ", ".join(MODELS)
    raise UsageError(f"unknown model {key!r}.", hint=f"use {hint}")
