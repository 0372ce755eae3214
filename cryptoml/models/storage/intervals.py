"""The interval part of a forecaster as JSON: the volatility model and the scores of past forecasts."""

from __future__ import annotations

import math
from typing import Any

from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.conformal import MIN_SCORES, RECENT
from cryptoml.models.interval import ConstantInterval, Interval, PastScores, ScaledInterval
from cryptoml.models.storage.stored_values import checked_integer, checked_number, checked_text
from cryptoml.models.volatility import VolatilityModel

_MAX_SCORES = RECENT + 1000
_MAX_SCORE = 1e6
# The end of the year 2200, in seconds.
_LATEST_S = 7_289_654_400


def describe_interval(interval: Interval) -> dict[str, Any]:
    """Return the interval part of a forecaster as JSON types."""
    if isinstance(interval, ConstantInterval):
        return {"half_width": interval.half_width, "level": interval.level, "by_market": dict(interval.by_market)}
    assert isinstance(interval, ScaledInterval)
    model = interval.volatility
    return {
        "level": interval.level,
        "symmetric": interval.symmetric,
        "volatility": {
            "windows": list(model.windows),
            "interval_seconds": model.interval_seconds,
            "intercept": model.intercept,
            "coefficients": list(model.coefficients),
        },
        # Times as differences, scores in single precision: short in JSON.
        "scores": {
            symbol: {
                "first_s": int(past.opened_s[0]),
                "steps_s": [int(step) for step in past.opened_s[1:] - past.opened_s[:-1]],
                "scores": [float(str(score)) for score in past.scores.astype("float32")],
            }
            for symbol, past in interval.scores.items()
        },
    }


def restore_interval(stored: Any, pipeline: FeaturePipeline) -> Interval:
    """Restore what `describe_interval` returned; raises ValueError for anything else."""
    if not isinstance(stored, dict):
        raise ValueError("interval is not an object")
    level = checked_number(stored, "level", 0.0, 1.0)
    if "half_width" in stored:
        widths = stored["by_market"]
        by_market = {checked_text({"symbol": one}, "symbol"): checked_number(widths, one, 0.0) for one in widths}
        return ConstantInterval(checked_number(stored, "half_width", 0.0), level, by_market)
    if not isinstance(stored["symmetric"], bool):
        raise ValueError("interval.symmetric is not true or false")
    scores = stored["scores"]
    if not isinstance(scores, dict) or not scores:
        raise ValueError("interval.scores is not an object by symbol")
    return ScaledInterval(
        volatility=_volatility(stored["volatility"], pipeline),
        scores={checked_text({"symbol": symbol}, "symbol"): _scores(symbol, scores[symbol]) for symbol in scores},
        symmetric=stored["symmetric"],
        level=level,
    )


def _volatility(stored: Any, pipeline: FeaturePipeline) -> VolatilityModel:
    from cryptoml.data.interval import parse_interval
    from cryptoml.features.volatility import column_count

    if not isinstance(stored, dict) or not all(isinstance(stored[name], list) for name in ("windows", "coefficients")):
        raise ValueError("interval.volatility is not a description of a model")
    windows = tuple(
        checked_integer({"window": one}, "window", 1, pipeline.warmup_candles - 1) for one in stored["windows"]
    )
    seconds = checked_integer(stored, "interval_seconds", 1, 10**9)
    if seconds != parse_interval(pipeline.interval).seconds:
        raise ValueError("interval.volatility has another candle interval than the features")
    coefficients = tuple(checked_number({"one": one}, "one", -math.inf) for one in stored["coefficients"])
    if len(coefficients) != column_count(windows, seconds):
        raise ValueError(f"interval.volatility has {len(coefficients)} coefficients")
    return VolatilityModel(windows, seconds, checked_number(stored, "intercept", -math.inf), coefficients)


def _scores(symbol: str, stored: Any) -> PastScores:
    import numpy as np

    if not isinstance(stored, dict) or not all(isinstance(stored[name], list) for name in ("steps_s", "scores")):
        raise ValueError(f"interval.scores of {symbol!r} is not an object with times and scores")
    first = checked_integer(stored, "first_s", 0, _LATEST_S)
    steps = [checked_integer({"step": step}, "step", 0, _LATEST_S) for step in stored["steps_s"][:_MAX_SCORES]]
    scores = [
        checked_number({"score": one}, "score", -_MAX_SCORE, _MAX_SCORE) for one in stored["scores"][:_MAX_SCORES]
    ]
    if len(scores) < MIN_SCORES or len(scores) != len(steps) + 1:
        raise ValueError(f"interval.scores of {symbol!r} has {len(scores)} scores and {len(steps)} steps")
    times = np.cumsum(np.asarray([first, *steps], dtype=np.int64))
    if times[-1] > _LATEST_S:
        raise ValueError(f"interval.scores of {symbol!r} has a time after the year 2200")
    return PastScores(times, np.asarray(scores))
