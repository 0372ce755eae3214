"""A forecaster as an MLflow model on disk: takes raw candles, gives forecasts; no pickle, nothing inferred."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptoml.tracking.store.quiet import import_mlflow

LOADER_MODULE = "cryptoml.models.serving"
PRICE_COLUMNS = ("open", "high", "low", "close", "volume")
OUTPUT_COLUMNS = ("forecast_return", "forecast_price", "lower_price", "upper_price")
# What loading and forecasting import, whatever the model. mlflow-skinny has `mlflow.pyfunc` and the scoring server.
BASE_REQUIREMENTS = ("mlflow-skinny", "numpy", "pandas", "pydantic", "scikit-learn", "skops", "threadpoolctl")
# The files and folders of this package that LOADER_MODULE imports, now or later.
SERVING_CODE = (
    "__init__.py",
    "config",
    "data/__init__.py",
    "data/grid.py",
    "data/interval.py",
    "errors.py",
    "features",
    "models",
    "system/__init__.py",
    "system/plurals.py",
)


def write_model_folder(
    forecaster_folder: Path,
    target: Path,
    *,
    requirements: Sequence[str],
    output_columns: Sequence[str] = OUTPUT_COLUMNS,
    loader_module: str = LOADER_MODULE,
    package_dir: Path | None = None,
    code: Sequence[str] = SERVING_CODE,
) -> None:
    """Write the MLflow model `target` (which must not exist) around what `Forecaster.save` wrote.

    `requirements` are names of packages beyond BASE_REQUIREMENTS; both are pinned to the installed versions. The files
    and folders `code` of `package_dir`, by default this package, travel along in one zip file.
    """
    import_mlflow()
    import mlflow.pyfunc
    from mlflow.models import Model

    package = package_dir or Path(__file__).resolve().parents[1]
    with _no_uv_project():
        mlflow.pyfunc.save_model(
            str(target),
            loader_module=loader_module,
            data_path=str(forecaster_folder),
            pip_requirements=pinned({*BASE_REQUIREMENTS, *requirements}),
        )
    archive = target / f"{package.name}.zip"
    if package_dir is None and code == SERVING_CODE:
        archive.write_bytes(_serving_code())
    else:
        write_code(archive, package, code)
    # MLflow puts the path `code` of the model on sys.path. Python imports from a zip file there, so that the code is
    # one file to upload instead of dozens.
    model = Model.load(str(target))
    model.signature = model_signature(output_columns)
    model.flavors[mlflow.pyfunc.FLAVOR_NAME][mlflow.pyfunc.CODE] = archive.name
    model.save(str(target / "MLmodel"))


def write_code(archive: Path, package: Path, parts: Sequence[str] = SERVING_CODE) -> None:
    """Zip the modules below `parts` of a package, importable as `package.name`; equal code gives equal bytes."""
    modules: set[Path] = set()
    for part in parts:
        path = package / part
        modules.update(path.rglob("*.py") if path.is_dir() else [path])
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for module in sorted(modules):
            name = zipfile.ZipInfo(f"{package.name}/{module.relative_to(package).as_posix()}")
            name.external_attr = 0o644 << 16
            packed.writestr(name, module.read_bytes(), zipfile.ZIP_DEFLATED)


@cache
def _serving_code() -> bytes:
    """Return the zip file of this package, which is the same for all models of a process."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "code.zip")
        write_code(archive, Path(__file__).resolve().parents[1])
        return archive.read_bytes()


def model_signature(output_columns: Sequence[str] = OUTPUT_COLUMNS) -> Any:
    """Raw candles in, one row of forecasts a candle out.

    Inputs are named and not typed: MLflow refuses integers for a column of doubles and datetimes for one of text. The
    served model checks types itself (`serving.parse_candles`).
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
