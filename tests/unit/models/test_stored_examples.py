"""Models stored by earlier versions load and give the same forecasts."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from cryptoml.models.forecaster import load_forecaster
from cryptoml.models.serving import ServedForecaster
from cryptoml.models.zoo import MODELS
from tests.hostile import EXAMPLES

NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


def test_every_model_and_implementation_has_a_stored_example() -> None:
    stored = [json.loads((EXAMPLES / name / "forecaster.json").read_text()) for name in NAMES]
    assert {one["model_type"] for one in stored} == set(MODELS)
    for spec in MODELS.values():
        found = {one["implementation"] for one in stored if one["model_type"] == spec.key}
        assert found >= set(spec.implementations)


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_example_gives_the_same_forecasts(name: str) -> None:
    candles = pd.read_csv(EXAMPLES / "candles.csv")
    expected = pd.read_json(EXAMPLES / name / "expected.json", convert_dates=False)
    forecasts = ServedForecaster(load_forecaster(EXAMPLES / name)).predict(candles).tail(len(expected))
    assert list(forecasts["timestamp"]) == list(expected["timestamp"])
    assert {"forecast_return", "forecast_price", "lower_price", "upper_price"} <= set(expected)
    for column in set(expected) - {"timestamp"}:
        np.testing.assert_allclose(forecasts[column], expected[column], rtol=1e-12, atol=1e-15)
