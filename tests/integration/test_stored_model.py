"""The stored model: a folder that a fresh process, outside the project, can forecast with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

import grimp
import numpy as np
import pandas as pd
import pytest

import cryptoml
from cryptoml.models import zoo
from cryptoml.models.forecaster import load_forecaster
from cryptoml.registry.stored_model import (
    LOADER_MODULE,
    PRICE_COLUMNS,
    SERVING_CODE,
    write_code,
    write_model_folder,
)
from cryptoml.tracking.store.quiet import import_mlflow
from tests.lab import first_layout

EXAMPLES = Path(__file__).parents[1] / "data" / "stored_models"

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
    for folder in (package / "forecasts", package / "training", package / "__pycache__", tmp_path / "saved"):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text("from standin_serving.forecasts import _load_pyfunc\n")
    (package / "forecasts" / "__init__.py").write_text(LOADER)
    (package / "training" / "__init__.py").write_text("raise SystemExit")
    (package / "__pycache__" / "x.pyc").write_bytes(b"")
    (tmp_path / "saved" / "shift.txt").write_text("2.5")
    return {"package": package, "saved": tmp_path / "saved", "target": tmp_path / "out" / "model"}


@pytest.fixture
def candles() -> pd.DataFrame:
    times = pd.date_range("2024-11-27", periods=3, freq="h", tz="UTC", name="timestamp")
    return pd.DataFrame({name: [100, 101, 102] for name in PRICE_COLUMNS}, index=times)


def write(parts: dict[str, Path]) -> Path:
    write_model_folder(
        parts["saved"],
        parts["target"],
        requirements=("xgboost",),
        loader_module="standin_serving",
        package_dir=parts["package"],
        code=("__init__.py", "forecasts"),
    )
    return parts["target"]


def test_the_folder_says_what_it_takes_gives_and_needs(parts: dict[str, Path]) -> None:
    target = write(parts)
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
    lines = (target / "requirements.txt").read_text().split()
    assert f"xgboost=={version('xgboost')}" in lines
    assert f"mlflow-skinny=={version('mlflow-skinny')}" in lines
    assert not [line for line in lines if line.startswith(("mlflow=", "scikit-learn-intelex"))]
    assert all("==" in line for line in lines)
    assert (target / "python_env.yaml").is_file()
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    assert files == [
        "MLmodel",
        "conda.yaml",
        "data/saved/shift.txt",
        "python_env.yaml",
        "requirements.txt",
        "standin_serving.zip",
    ]
    with zipfile.ZipFile(target / "standin_serving.zip") as packed:
        assert packed.namelist() == ["standin_serving/__init__.py", "standin_serving/forecasts/__init__.py"]


def test_a_uv_project_in_the_current_folder_stays_out(parts: dict[str, Path], tmp_path: Path) -> None:
    for name in ("uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text("")
    import_mlflow()
    before = dict(os.environ)
    target = write(parts)
    assert not (target / "uv.lock").exists()
    assert before == dict(os.environ)


def test_writing_is_quick(parts: dict[str, Path]) -> None:
    import_mlflow()
    import mlflow.pyfunc  # noqa: F401

    best = 9.0
    for number in range(3):
        began = time.perf_counter()
        write({**parts, "target": parts["target"].with_name(f"model{number}")})
        best = min(best, time.perf_counter() - began)
    # Inferring requirements takes 11 to 15 s; the bound leaves room for a busy machine.
    assert best < 1.0


def test_mlflow_lets_integers_and_datetimes_through(parts: dict[str, Path], candles: pd.DataFrame) -> None:
    target = write(parts)
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
    target = write(parts)
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


def test_equal_code_gives_equal_bytes(parts: dict[str, Path], tmp_path: Path) -> None:
    for number in range(2):
        os.utime(parts["package"] / "__init__.py", (number, number))
        write_code(tmp_path / f"{number}.zip", parts["package"], ("forecasts", "__init__.py"))
    assert (tmp_path / "0.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()


def test_the_code_of_a_model_is_what_serving_imports() -> None:
    package = Path(cryptoml.__file__).parent
    graph = grimp.build_graph("cryptoml", exclude_type_checking_imports=True, cache_dir=None)
    # The modules of models are imported by name.
    roots = {LOADER_MODULE, *(f"cryptoml.models.{name}" for name in zoo.MODULES)}
    needed = roots.union(*(graph.find_upstream_modules(root) for root in roots))
    # Packages are imported with their modules.
    needed |= {name.rpartition(".")[0] for name in needed}
    carried = {part: _modules(package, part) for part in SERVING_CODE}
    assert needed <= set().union(*carried.values())
    assert not [part for part, modules in carried.items() if not modules & needed]


def _modules(package: Path, part: str) -> set[str]:
    path = package / part
    files = path.rglob("*.py") if path.is_dir() else [path]
    dotted = (".".join(("cryptoml", *file.relative_to(package).with_suffix("").parts)) for file in files)
    return {name.removesuffix(".__init__") for name in dotted}


FORECAST = """
import sys
import mlflow.pyfunc, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
forecasts = model.predict(pandas.read_csv(sys.argv[2]))
import cryptoml
assert cryptoml.__file__.startswith(sys.argv[1]), cryptoml.__file__
assert not [name for name in ("typer", "dvc", "dagshub", "sqlalchemy", "xgboost") if name in sys.modules]
forecasts.to_csv(sys.argv[3], index=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["zip file", "folder of the first release"])
def test_a_stored_model_forecasts_with_its_own_code(layout: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "ridge", tmp_path / "forecaster", ignore=shutil.ignore_patterns("expected.json"))
    target = tmp_path / "model"
    write_model_folder(tmp_path / "forecaster", target, requirements=())
    if layout != "zip file":
        first_layout(target)
    environ = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", FORECAST, str(target), str(EXAMPLES / "candles.csv"), "out.csv"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    expected = load_forecaster(EXAMPLES / "ridge").forecast(
        pd.read_csv(EXAMPLES / "candles.csv", index_col="timestamp", parse_dates=True)
    )
    served = pd.read_csv(tmp_path / "out.csv", float_precision="round_trip")
    assert served["forecast_return"].notna().any()
    np.testing.assert_array_equal(served["forecast_return"], expected["forecast_return"])
