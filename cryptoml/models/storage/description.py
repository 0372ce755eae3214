"""Reads forecaster.json, the description of a stored forecaster, and checks every value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptoml.errors import CryptomlError, DataError
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.interval import ConstantInterval, Interval
from cryptoml.models.storage.archive import FETCH_AGAIN
from cryptoml.models.storage.intervals import restore_interval
from cryptoml.models.storage.model_files import open_plain
from cryptoml.models.storage.stored_values import checked_integer, checked_number, checked_text
from cryptoml.models.zoo import MODELS

# Format 1 has an interval of constant width, and the scaler in a file of its own.
FORMAT, READABLE = 2, (1, 2)
FILE = "forecaster.json"
SCALER_IN_FILE = "in a file"
# The scores of the intervals take about 40 kB per market.
MAX_BYTES = 2**24
# The limits are those of the config.
MAX_WINDOW = 100_000
MAX_HORIZON = 1000
MAX_COLUMNS = 10_000


@dataclass(frozen=True)
class Description:
    """The fields of a `Forecaster` except scaler and estimator."""

    model_type: str
    implementation: str
    params: Mapping[str, object]
    pipeline: FeaturePipeline
    horizon: int
    symbol: str
    max_no_trade_candles: int
    clip: float
    shrinkage: float
    interval: Interval
    unseen_from: str
    markets: tuple[str, ...]


def read_description(folder: Path) -> tuple[Description, Any, tuple[int, ...]]:
    """Read the description that `Forecaster.save` wrote; raises DataError if it is invalid.

    Also returns the scaler as stored, or SCALER_IN_FILE, and the further horizons.
    """
    path = folder / FILE
    about = _document(folder, path)
    if about.get("format") not in READABLE:
        raise DataError(
            f"{folder}: the forecaster has format {str(about.get('format'))[:50]}; this version supports "
            f"{READABLE[0]} to {READABLE[-1]}.",
            hint="install the version of cryptoml that saved the model",
        )
    try:
        horizons = about.get("further_horizons", [])
        if not isinstance(horizons, list) or len(horizons) > MAX_HORIZON:
            raise ValueError("further_horizons is not a list of horizons")
        further = tuple(checked_integer({"horizon": one}, "horizon", 1, MAX_HORIZON) for one in horizons)
        return _parse_description(about), about["scaler"] if about["format"] > 1 else SCALER_IN_FILE, further
    except KeyError as error:
        raise DataError(f"{path}: lacks {error}.", hint=FETCH_AGAIN) from error
    except CryptomlError as error:
        raise DataError(f"{path}: {error.fact}", hint=error.hint or FETCH_AGAIN) from error
    except (ValueError, TypeError, ArithmeticError) as error:
        raise DataError(f"{path}: {str(error)[:300]}.", hint=FETCH_AGAIN) from error


def _document(folder: Path, path: Path) -> dict[str, Any]:
    try:
        with open_plain(path) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"{FILE} has more than {MAX_BYTES:,} bytes")
        about = json.loads(data.decode("utf-8"))
        if not isinstance(about, dict):
            raise ValueError(f"{FILE} is not a JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{folder}: contains no valid forecaster ({error}).", hint="choose a folder that cryptoml saved"
        ) from error
    return about


def _parse_description(about: dict[str, Any]) -> Description:
    model_type, implementation = checked_text(about, "model_type"), checked_text(about, "implementation")
    if model_type not in MODELS:
        raise ValueError(f"unknown model {model_type!r}")
    if implementation not in MODELS[model_type].implementations:
        raise ValueError(f"{model_type} has no implementation {implementation!r}")
    pipeline = _pipeline(about["pipeline"])
    if about.get("feature_names", list(pipeline.feature_names)) != list(pipeline.feature_names):
        raise ValueError("feature_names differ from those of the pipeline")
    params = about["params"]
    if not isinstance(params, dict) or any(isinstance(value, list | dict) for value in params.values()):
        raise ValueError("params is not an object of scalar values")
    return Description(
        model_type=model_type,
        implementation=implementation,
        params=params,
        pipeline=pipeline,
        horizon=checked_integer(about, "horizon", 1, MAX_HORIZON),
        symbol=checked_text(about, "symbol"),
        max_no_trade_candles=checked_integer(about, "max_no_trade_candles", 0, 10**9),
        clip=checked_number(about, "clip", 0.0),
        shrinkage=checked_number(about, "shrinkage", -math.inf),
        unseen_from=_time(about, "unseen_from"),
        **_interval(about, pipeline),
    )


def _interval(about: dict[str, Any], pipeline: FeaturePipeline) -> dict[str, Any]:
    """Return the fields `interval` and `markets`."""
    if about["format"] == 1:
        widths = about.get("market_quantiles", {})
        if not isinstance(widths, dict):
            raise ValueError("market_quantiles is not an object of numbers by symbol")
        interval: Interval = ConstantInterval(
            checked_number(about, "interval_quantile", 0.0),
            checked_number(about, "interval_level", 0.0, 1.0),
            {checked_text({"symbol": symbol}, "symbol"): checked_number(widths, symbol, 0.0) for symbol in widths},
        )
        return {"interval": interval, "markets": tuple(widths)}
    markets = about["markets"]
    if not isinstance(markets, list):
        raise ValueError("markets is not a list of symbols")
    symbols = tuple(checked_text({"symbol": symbol}, "symbol") for symbol in markets)
    return {"interval": restore_interval(about["interval"], pipeline), "markets": symbols}


def _pipeline(stored: Any) -> FeaturePipeline:
    if not isinstance(stored, dict):
        raise ValueError("pipeline is not an object")
    for name in ("lag_windows", "rolling_windows"):
        windows = stored.get(name, [])
        if not isinstance(windows, list) or any(type(window) is not int or window > MAX_WINDOW for window in windows):
            raise ValueError(f"pipeline.{name} is not a list of windows of at most {MAX_WINDOW:,} candles")
    features = stored.get("features", [])
    if not isinstance(features, list) or not all(isinstance(feature, str) for feature in features):
        raise ValueError("pipeline.features is not a list of names")
    max_columns = len(features) * max(len(stored.get("lag_windows", [])), len(stored.get("rolling_windows", [])), 1)
    if max_columns > MAX_COLUMNS:
        raise ValueError(f"the pipeline has up to {max_columns:,} columns; the limit is {MAX_COLUMNS:,}")
    if not isinstance(stored.get("interval", ""), str) or len(stored.get("interval", "")) > 20:
        raise ValueError("pipeline.interval is not a candle interval")
    return FeaturePipeline.from_dict(stored)


def _time(about: dict[str, Any], name: str) -> str:
    """Return an ISO time in UTC, or an empty string; limited to the years that pandas supports."""
    value = checked_text(about, name)
    if not value:
        return ""
    time = datetime.fromisoformat(value)
    if time.tzinfo is None or not 1970 <= time.year <= 2200:
        raise ValueError(f"{name} is {value!r}, not a time with a time zone between 1970 and 2200")
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
