"""XGBoost on a GPU: refused where there is none; the digits of forecasts are those of the stored model."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from cryptoml.errors import ConfigError
from cryptoml.models.forecaster import fit
from cryptoml.models.xgb import MODEL, XgboostParameters, check_device


def has_gpu() -> bool:
    tool = shutil.which("nvidia-smi")
    return bool(tool) and b"GPU" in subprocess.run([str(tool), "-L"], capture_output=True, check=False).stdout


def test_the_cpu_is_always_accepted():
    check_device(XgboostParameters())


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_refused():
    with pytest.raises(ConfigError, match="no usable GPU") as caught:
        check_device(XgboostParameters(device="cuda"))
    assert "--device cpu" in caught.value.hint


@pytest.mark.skipif(not has_gpu(), reason="no GPU on this machine")
def test_a_model_fitted_on_a_gpu_forecasts_like_one_of_the_cpu(tmp_path):
    check_device(XgboostParameters(device="cuda"))
    random = np.random.default_rng(1)
    X = random.normal(size=(20_000, 10)).astype(np.float32)
    y = X[:, 0] * 0.01 + random.normal(size=20_000) * 0.01
    forecasts = {}
    for device in ("cpu", "cuda"):
        params = XgboostParameters(device=device, n_estimators=20, subsample=1.0, colsample_bytree=1.0).model_dump()
        parts = fit(MODEL, params, seed=1, X=X, y=y, scaling_method="standard", clip_sigma=4.0)
        forecasts[device] = parts.raw_return(X)
        (tmp_path / device).mkdir()
        MODEL.storage.save(parts.estimator, tmp_path / device)
        loaded = MODEL.storage.load(tmp_path / device, "hist", 10)
        np.testing.assert_array_equal(MODEL.predict(loaded, X), MODEL.predict(parts.estimator, X))
    assert np.corrcoef(forecasts["cpu"], forecasts["cuda"])[0, 1] > 0.99
