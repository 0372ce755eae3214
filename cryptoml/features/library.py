"""FEATURES: all features by name. To add one, write a function of `Bars` and add an entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cryptoml.features import calendar, price, volume
from cryptoml.features.bars import MACD_HISTORY, Bars
from cryptoml.features.windows import Array

Family = Literal["lag", "rolling", "fixed"]

# Increase it when a change makes stored pipelines compute other values.
LIBRARY_VERSION = 1

_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S


@dataclass(frozen=True)
class FeatureSpec:
    """One feature: a causal, scale-free function of the candles up to and including its own row.

    A `lag` feature has one column per lag window, a `rolling` feature one per rolling window, and a `fixed` feature a
    single column (its function gets the window 0). The value of a row depends only on the last `window + history`
    candles; if any of them is missing, the pipeline sets NaN. A feature is omitted for candle intervals of
    `below_interval_s` seconds or more, on which it is constant.
    """

    name: str
    family: Family
    compute: Callable[[Bars, int], Array]
    history: int
    below_interval_s: int | None = None

    @property
    def doc(self) -> str:
        """One-line description: the first line of the function's docstring."""
        return (self.compute.__doc__ or "").strip().splitlines()[0]

    def lookback(self, window: int) -> int:
        """Return the number of candles that a row's value depends on, including its own."""
        return window + self.history

    def fits(self, interval_s: int) -> bool:
        """Return whether the feature varies on candles of `interval_s` seconds."""
        return self.below_interval_s is None or interval_s < self.below_interval_s

    def column(self, window: int) -> str:
        """Return the column name for `window`."""
        return self.name if self.family == "fixed" else f"{self.name}_{window}"


FEATURES: dict[str, FeatureSpec] = {
    spec.name: spec
    for spec in (
        FeatureSpec("log_return", "lag", price.log_return, 1),
        FeatureSpec("lagged_return", "lag", price.lagged_return, 2),
        FeatureSpec("return_mean", "rolling", price.return_mean, 1),
        FeatureSpec("return_std", "rolling", price.return_std, 1),
        FeatureSpec("return_skew", "rolling", price.return_skew, 1),
        FeatureSpec("sma_distance", "rolling", price.sma_distance, 0),
        FeatureSpec("high_distance", "rolling", price.high_distance, 0),
        FeatureSpec("low_distance", "rolling", price.low_distance, 0),
        FeatureSpec("volume_ratio", "rolling", volume.volume_ratio, 0),
        FeatureSpec("volume_change", "fixed", volume.volume_change, 2),
        FeatureSpec("rsi", "fixed", price.rsi, price.RSI_CANDLES + 1),
        FeatureSpec("macd", "fixed", price.macd, MACD_HISTORY),
        FeatureSpec("macd_histogram", "fixed", price.macd_histogram, price.MACD_HISTOGRAM_HISTORY),
        FeatureSpec("bollinger", "fixed", price.bollinger, price.BOLLINGER_CANDLES),
        FeatureSpec("atr", "fixed", price.atr, price.ATR_CANDLES + 1),
        FeatureSpec("candle_range", "fixed", price.candle_range, 1),
        FeatureSpec("candle_body", "fixed", price.candle_body, 1),
        FeatureSpec("upper_wick", "fixed", price.upper_wick, 1),
        FeatureSpec("lower_wick", "fixed", price.lower_wick, 1),
        FeatureSpec("hour_sin", "fixed", calendar.hour_sin, 1, _DAY_S),
        FeatureSpec("hour_cos", "fixed", calendar.hour_cos, 1, _DAY_S),
        FeatureSpec("weekday_sin", "fixed", calendar.weekday_sin, 1, _WEEK_S),
        FeatureSpec("weekday_cos", "fixed", calendar.weekday_cos, 1, _WEEK_S),
    )
}
