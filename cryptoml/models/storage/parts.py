"""Loads the scaler and the estimator of a stored forecaster, each checked before and after."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import DataError
from cryptoml.models.storage.archive import FETCH_AGAIN, read_archive
from cryptoml.models.storage.archive_schema import PLAIN_NODES, check_schema
from cryptoml.models.storage.boosters import read_booster
from cryptoml.models.storage.model_files import open_plain
from cryptoml.models.storage.trees import check_estimator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What skops, scikit-learn and numpy raise for a file whose types are right and whose values are not.
_BUILD_ERRORS = (
    ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError, ImportError, MemoryError,
    EOFError, OSError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def load_skops(path: Path, expected: str, types: frozenset[tuple[str, str]], n_features: int) -> Any:
    """An estimator of the class `expected`, made only of `types` and plain nodes.

    Raises AccessError for an archive that holds anything else, DataError for one that is damaged.
    """
    import skops.io

    try:
        file = open_plain(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}).", hint=FETCH_AGAIN) from error
    # One open file for the check and for skops: a file put in its place in between is not read.
    with file:
        schema, arrays = read_archive(file, path)
        check_schema(schema, arrays, PLAIN_NODES | types, path)
        file.seek(0)
        try:
            estimator = skops.io.load(file, trusted=sorted({name for _, name in PLAIN_NODES | types}))
        except _BUILD_ERRORS as error:
            raise DataError(f"{path}: cannot be loaded ({_brief(error)}).", hint=FETCH_AGAIN) from error
    check_estimator(estimator, expected, n_features, path)
    return estimator


def load_booster(path: Path, n_features: int) -> Any:
    """An XGBRegressor for `n_features` columns; raises DataError for a file that XGBoost did not write so."""
    from xgboost import XGBRegressor

    data = read_booster(path, n_features)
    estimator = XGBRegressor(n_jobs=1)
    try:
        estimator.load_model(bytearray(data))
    except _BUILD_ERRORS as error:
        raise DataError(f"{path}: cannot be loaded ({_brief(error)}).", hint=FETCH_AGAIN) from error
    estimator.set_params(n_jobs=1)
    return estimator


def check_one_forecast(
    folder: Path, raw_return: Callable[[NDArray[np.float32]], NDArray[np.float64]], n_features: int
) -> None:
    """Make one forecast of features that are all 0; raises DataError unless it is one finite number."""
    import numpy as np

    try:
        forecast = np.asarray(raw_return(np.zeros((1, n_features), dtype=np.float32)), dtype=np.float64)
        sound = forecast.shape == (1,) and bool(np.isfinite(forecast).all())
        problem = "" if sound else f"it is {str(forecast)[:100]}"
    except _BUILD_ERRORS as error:
        problem = _brief(error)
    if problem:
        raise DataError(f"{folder}: the model makes no forecast: {problem}.", hint=FETCH_AGAIN)


def _brief(error: BaseException) -> str:
    # XGBoost appends the addresses of its call stack.
    text = " ".join(str(error).partition("Stack trace")[0].split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
