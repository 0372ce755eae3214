"""Loads the settings and the config for a command."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptoml.config.load import LoadedConfig
    from cryptoml.settings import Settings

DEFAULT_CONFIG = Path("configs/default.yaml")


def load_project_config(config: Path | None, overrides: Sequence[str] | None) -> tuple[Settings, LoadedConfig]:
    """Load the settings and the config, by default `configs/default.yaml` of the project if it exists.

    Raises ConfigError that lists all errors.
    """
    from cryptoml.config.load import load_config
    from cryptoml.models.zoo import MODELS
    from cryptoml.settings import load_settings, read_dotenv

    settings = load_settings()
    default = settings.project_dir / DEFAULT_CONFIG
    loaded = load_config(
        config or (default if default.is_file() else None),
        models=MODELS,
        overrides=overrides or (),
        environ=os.environ,
        dotenv=read_dotenv(settings.project_dir),
    )
    return settings, loaded
