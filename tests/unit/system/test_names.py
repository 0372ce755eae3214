from __future__ import annotations

import pytest

from cryptoml.config.load import load_config
from cryptoml.errors import ConfigError
from cryptoml.models.zoo import MODELS
from cryptoml.settings import load_settings


@pytest.mark.parametrize("name", ["a/b", "a:b", "..", ".hidden", "x" * 300, "  ", "tab\there", "\x00"])
def test_an_invalid_model_name_is_rejected_by_the_config(name: str) -> None:
    with pytest.raises(ConfigError, match=r"registry\.model_name"):
        load_config(None, models=MODELS, overrides=[f'registry.model_name="{name}"'], environ={}, dotenv={})


@pytest.mark.parametrize("name", ["crypto-price-predictor", "BTC USDT 1h", "modèle", "a.b_c-1"])
def test_valid_names_are_accepted(name: str) -> None:
    loaded = load_config(None, models=MODELS, overrides=[f'registry.model_name="{name}"'], environ={}, dotenv={})
    assert loaded.config.registry.model_name == name


@pytest.mark.parametrize("name", ["x" * 600, " lead", "line\nbreak"])
def test_an_invalid_experiment_name_is_rejected_by_the_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    with pytest.raises(ConfigError, match="MLFLOW_EXPERIMENT_NAME"):
        load_settings()
