"""Features of the candle's open time (UTC), encoded as sine and cosine because hours and weekdays are cyclic."""

import numpy as np

from cryptoml.features.bars import Bars
from cryptoml.features.windows import Array

_DAY_S = 86_400
# 1970-01-01 was a Thursday, day 3 of a week that starts on Monday.
_EPOCH_WEEKDAY = 3


def _hour_angle(bars: Bars) -> Array:
    return (bars.opened_s % _DAY_S).astype(np.float64) * (2.0 * np.pi / _DAY_S)


def _weekday_angle(bars: Bars) -> Array:
    day = (bars.opened_s // _DAY_S + _EPOCH_WEEKDAY) % 7
    return day.astype(np.float64) * (2.0 * np.pi / 7)


def hour_sin(bars: Bars, _: int) -> Array:
    """Sine of the time of day."""
    return np.sin(_hour_angle(bars))


def hour_cos(bars: Bars, _: int) -> Array:
    """Cosine of the time of day."""
    return np.cos(_hour_angle(bars))


def weekday_sin(bars: Bars, _: int) -> Array:
    """Sine of the day of the week (Monday is 0)."""
    return np.sin(_weekday_angle(bars))


def weekday_cos(bars: Bars, _: int) -> Array:
    """Cosine of the day of the week (Monday is 0)."""
    return np.cos(_weekday_angle(bars))
