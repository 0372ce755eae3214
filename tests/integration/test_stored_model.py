"""The stored model: a folder that a fresh process, outside the project, can forecast with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest

from cryptoml.registry.stored_model import PRICE_COLUMNS, write_model_folder
from cryptoml.tracking.store.quiet import import_mlflow

LOADER = '''
"""Stands in for the serving module: forecasts the close plus what lies in the data folder."""
from pathlib import Path

class Model:
    def __init__(self, shift):
        self.shift = shift

    def predict(self, model_input, params=None):
        price = model_input["close"] + self.shift
        return model_input[["timestamp"]].assign(
            forecast_return=0.0, forecast_price=price, lower_price=price - 1, upper_price=price + 1)

def _load_pyfunc(path):
    return Model(float(Path(path, "shift.txt").read_text()))
'''


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    """A package with a loader, and the data it loads."""
    package = tmp_path / "source" / "standin_serving"
    for folder in (package, package / "tests", package / "__pycache__", tmp_path / "saved"):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text(LOADER)
    (package / "tests" / "test_x.py").write_text("raise SystemExit")
    (package / "__pycache__" / "x.pyc").write_bytes(b"")
    (tmp_path / "saved" / "shift.txt").write_text("2.5")
    return {"package": package, "saved": tmp_path / "saved", "target": tmp_path / "out" / "model"}


@pytest.fixture
def candles() -> pd.DataFrame:
    times = pd.date_range("2024-11-27", periods=3, freq="h", tz="UTC", name="timestamp")
    return pd.DataFrame({name: [100, 101, 102] for name in PRICE_COLUMNS}, index=times)


def write(parts: dict[str, Path], candles: pd.DataFrame) -> Path:
    write_model_folder(
        parts["saved"],
        parts["target"],
        requirements=("xgboost",),
        input_example=candles,
        loader_module="standin_serving",
        package_dir=parts["package"],
        metadata={"symbol": "BTCUSDT"},
    )
    return parts["target"]


def test_the_folder_says_what_it_takes_gives_and_needs(parts: dict[str, Path], candles: pd.DataFrame) -> None:
    target = write(parts, candles)
    import_mlflow()
    from mlflow.models import Model

    model = Model.load(str(target))
    assert model.signature.inputs.input_names() == ["timestamp", *PRICE_COLUMNS]
    assert {column["type"] for column in model.signature.inputs.to_dict()} == {"any"}
    assert model.signature.outputs.input_names() == [
        "timestamp",
        "forecast_return",
        "forecast_price",
        "lower_price",
        "upper_price",
    ]
    assert model.metadata == {"symbol": "BTCUSDT"}
    example = model.load_input_example(str(target))
    assert list(example.columns) == ["timestamp", *PRICE_COLUMNS]
    assert example["timestamp"].tolist()[0] == "2024-11-27T00:00:00Z"
    lines = (target / "requirements.txt").read_text().split()
    assert f"xgboost=={version('xgboost')}" in lines
    assert f"mlflow=={version('mlflow')}" in lines
    assert all("==" in line for line in lines)
    assert (target / "python_env.yaml").is_file()
    carried = sorted(path.relative_to(target).as_posix() for path in (target / "code").rglob("*"))
    assert carried == ["code/standin_serving", "code/standin_serving/__init__.py"]
    assert not any(path.suffix == ".pkl" for path in target.rglob("*"))


def test_a_uv_project_in_the_current_folder_stays_out(
    parts: dict[str, Path], candles: pd.DataFrame, tmp_path: Path
) -> None:
    for name in ("uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text("")
    import_mlflow()
    before = dict(os.environ)
    target = write(parts, candles)
    assert not (target / "uv.lock").exists()
    assert before == dict(os.environ)


def test_writing_is_quick(parts: dict[str, Path], candles: pd.DataFrame) -> None:
    import_mlflow()
    import mlflow.pyfunc  # noqa: F401

    best = 9.0
    for number in range(3):
        began = time.perf_counter()
        write({**parts, "target": parts["target"].with_name(f"model{number}")}, candles)
        best = min(best, time.perf_counter() - began)
    # Inferring requirements takes 11 to 15 s; the bound leaves room for a busy machine.
    assert best < 1.0


def test_mlflow_lets_integers_and_datetimes_through(parts: dict[str, Path], candles: pd.DataFrame) -> None:
    target = write(parts, candles)
    import_mlflow()
    import mlflow.pyfunc

    rows = candles.reset_index()
    assert rows["volume"].dtype == "int64"
    forecasts = mlflow.pyfunc.load_model(str(target)).predict(rows)
    assert list(forecasts["forecast_price"]) == [102.5, 103.5, 104.5]


@pytest.mark.slow
def test_a_fresh_process_elsewhere_forecasts_with_it(
    parts: dict[str, Path], candles: pd.DataFrame, tmp_path: Path
) -> None:
    target = write(parts, candles)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    rows = candles.reset_index().assign(timestamp=lambda frame: frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    (elsewhere / "in.json").write_text(json.dumps({"dataframe_split": rows.to_dict(orient="split", index=False)}))
    command = [sys.executable, "-m", "mlflow", "models", "predict", "--env-manager", "local"]
    command += ["-m", str(target), "-i", "in.json", "-o", "out.json", "-t", "json"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads((elsewhere / "out.json").read_text())["predictions"]
    assert [row["forecast_price"] for row in answer] == [102.5, 103.5, 104.5]
    assert answer[0]["timestamp"] == "2024-11-27T00:00:00Z"
