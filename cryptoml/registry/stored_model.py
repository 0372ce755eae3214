"""A forecaster as an MLflow model on disk: takes raw candles, gives forecasts; no pickle, nothing inferred."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.tracking.store.quiet import import_mlflow

if TYPE_CHECKING:
    import pandas as pd

LOADER_MODULE = "cryptoml.models.serving"
PRICE_COLUMNS = ("open", "high", "low", "close", "volume")
OUTPUT_COLUMNS = ("forecast_return", "forecast_price", "lower_price", "upper_price")
# What loading and forecasting import, whatever the model.
BASE_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pydantic", "pyyaml", "scikit-learn", "skops", "threadpoolctl")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "tests", ".*")


def write_model_folder(
    forecaster_folder: Path,
    target: Path,
    *,
    requirements: Sequence[str],
    input_example: pd.DataFrame | None = None,
    output_columns: Sequence[str] = OUTPUT_COLUMNS,
    loader_module: str = LOADER_MODULE,
    package_dir: Path | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write the MLflow model `target` (which must not exist) around what `Forecaster.save` wrote.

    `requirements` are names of packages beyond BASE_REQUIREMENTS; both are pinned to the installed versions.
    `input_example` has a `timestamp` column (or index) and the price columns. The code in `package_dir`, by default
    this package, travels along.
    """
    import_mlflow()
    import mlflow.pyfunc

    package = package_dir or Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory(prefix="cryptoml-code-") as text, _no_uv_project():
        code = Path(text) / package.name
        shutil.copytree(package, code, ignore=_LEFT_OUT)
        mlflow.pyfunc.save_model(
            str(target),
            loader_module=loader_module,
            data_path=str(forecaster_folder),
            code_paths=[str(code)],
            signature=model_signature(output_columns),
            input_example=None if input_example is None else _example(input_example),
            pip_requirements=pinned({*BASE_REQUIREMENTS, *requirements}),
            metadata=dict(metadata) if metadata else None,
        )


def model_signature(output_columns: Sequence[str] = OUTPUT_COLUMNS) -> Any:
    """Raw candles in, one row of forecasts a candle out.

    Inputs are named and not typed: MLflow refuses integers for a column of doubles and datetimes for one of text. The
    served model checks types itself (`serving.candles_of`).
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    outputs = [ColSpec(DataType.string, "timestamp"), *(ColSpec(DataType.double, name) for name in output_columns)]
    inputs = [ColSpec(AnyType(), name) for name in ("timestamp", *PRICE_COLUMNS)]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def pinned(names: set[str]) -> list[str]:
    """`name==installed version` for each name, sorted."""
    return sorted(f"{name}=={version(name)}" for name in names)


def _example(candles: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    frame = candles if "timestamp" in candles else candles.rename_axis("timestamp").reset_index()
    times = frame["timestamp"]
    if pd.api.types.is_datetime64_any_dtype(times):
        times = times.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    prices = {name: frame[name].astype("float64").to_numpy() for name in PRICE_COLUMNS}
    return pd.DataFrame({"timestamp": times.astype(str).to_numpy(), **prices})


@contextmanager
def _no_uv_project() -> Iterator[None]:
    """Keep mlflow from exporting whatever uv project the current folder happens to be."""
    name = "MLFLOW_UV_AUTO_DETECT"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
