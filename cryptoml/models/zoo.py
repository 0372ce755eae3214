"""The list of models. A module with a `MODEL` and its line in MODULES add one; no library of a model is imported."""

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
# The key of the model that every other one is compared with.
BASELINE = next(key for key, model in MODELS.items() if model.is_baseline)


def get_model(key: str) -> Model[Any]:
    """The model with this key; raises UsageError naming the most similar one."""
    if key in MODELS:
        return MODELS[key]
    by_long_name = {model.long_name: name for name, model in MODELS.items()}
    near = get_close_matches(key.lower(), [*MODELS, *by_long_name], n=1, cutoff=0.5)
    hint = by_long_name.get(near[0], near[0]) if near else ", ".join(MODELS)
    raise UsageError(f"{key}: there is no such model.", hint=f"use {hint}")
