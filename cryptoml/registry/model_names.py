"""The registered model of a market."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cryptoml.config.schema import Config

# The tag of a run with the registered model of its training.
MODEL_NAME_TAG = "model_name"


def market_model_name(name: str, *, symbol: str, interval: str) -> str:
    """Return the registered model of one of several markets: `crypto-price-predictor-btcusdt-1h`.

    The part for the market is not added twice.
    """
    market = re.sub(r"[^a-z0-9]+", "-", f"{symbol}-{interval}".lower()).strip("-")
    return name if name.endswith(f"-{market}") else f"{name}-{market}"


def registered_name(name: str, tags: Mapping[str, str]) -> str:
    """Return the registered model of a run: that of its market, if the run was trained with others, else `name`."""
    of_market = tags.get(MODEL_NAME_TAG, name)
    return of_market if of_market.startswith(f"{name}-") else name


def with_model_name(config: Config, name: str) -> Config:
    """Return the config with another registered model."""
    return config.model_copy(update={"registry": config.registry.model_copy(update={"model_name": name})})
