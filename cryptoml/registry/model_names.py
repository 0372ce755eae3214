"""The registered model of a market."""

from __future__ import annotations

from cryptoml.config.schema import Config

# The tag of a run with the registered model of its training.
MODEL_NAME_TAG = "model_name"


def with_model_name(config: Config, name: str) -> Config:
    """Return the config with another registered model."""
    return config.model_copy(update={"registry": config.registry.model_copy(update={"model_name": name})})
