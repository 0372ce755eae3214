"""Features of prices: returns, trend, oscillators, range and candle shape; all independent of the price level."""

import numpy as np

from cryptoml.features.bars import MACD_HISTORY, MACD_SIGNAL, Bars
from cryptoml.features.windows import Array, Moments, geometric_sum, highest, lagged, lowest

RSI_CANDLES = 14
BOLLINGER_CANDLES = 20
ATR_CANDLES = 14
MACD_HISTOGRAM_HISTORY = MACD_HISTORY + MACD_SIGNAL[1] - 1

# Smaller deviations, as a share of the price, are rounding errors.
_NO_DEVIATION = 1e-9


def _ratio(part: Array, whole: Array, *, smallest: float = 0.0, otherwise: float = 0.0) -> Array:
    """Return `part / whole`, or `otherwise` if `whole` is at most `smallest`; NaN stays NaN."""
    empty = whole <= smallest
    return np.where(empty, otherwise, part / np.where(empty, 1.0, whole))


def log_return(bars: Bars, lag: int) -> Array:
    """Log return over the last `lag` candles."""
    return bars.return_over(lag) if lag > 1 else bars.log_return


def lagged_return(bars: Bars, lag: int) -> Array:
    """One-candle log return `lag` candles ago."""
    return lagged(bars.log_return, lag)


def _return_deviation(bars: Bars, window: int) -> Array:
    return np.sqrt(bars.return_moments.over(window)[1])


def return_mean(bars: Bars, window: int) -> Array:
    """Mean of the log returns over their root mean square, -1 to 1; 0 if all returns are 0."""
    mean, squared, _ = bars.return_moments.over(window)
    return _ratio(mean, np.sqrt(mean * mean + squared), smallest=_NO_DEVIATION)


def return_std(bars: Bars, window: int) -> Array:
    """Standard deviation (population) of the log returns."""
    return _return_deviation(bars, window)


def return_skew(bars: Bars, window: int) -> Array:
    """Skewness (population) of the log returns; 0 if all returns are equal."""
    deviation = _return_deviation(bars, window)
    cubed = deviation * deviation * deviation
    return _ratio(bars.return_moments.over(window)[2], cubed, smallest=_NO_DEVIATION**3)


def sma_distance(bars: Bars, window: int) -> Array:
    """Log of the close over its simple moving average."""
    return np.log(bars.close / bars.close_moments.over(window)[0])


def high_distance(bars: Bars, window: int) -> Array:
    """Log of the close over the highest high; at most 0."""
    return np.log(bars.close / highest(bars.high, window))


def low_distance(bars: Bars, window: int) -> Array:
    """Log of the close over the lowest low; at least 0."""
    return np.log(bars.close / lowest(bars.low, window))


def rsi(bars: Bars, _: int) -> Array:
    """Relative strength index, 0 to 100, from simple means of log returns (Cutler); 50 if all returns are 0."""
    gains = Moments(np.maximum(bars.log_return, 0.0), order=1).over(RSI_CANDLES)[0]
    losses = Moments(np.maximum(-bars.log_return, 0.0), order=1).over(RSI_CANDLES)[0]
    return _ratio(100.0 * gains, gains + losses, otherwise=50.0)


def macd(bars: Bars, _: int) -> Array:
    """Appel's MACD (12, 26) of the log close; to first order, MACD over price."""
    return bars.macd


def macd_histogram(bars: Bars, _: int) -> Array:
    """MACD of the log close minus its signal line, the exponential moving average over 9 candles."""
    span, terms = MACD_SIGNAL
    decay = 1 - 2 / (span + 1)
    signal = geometric_sum(bars.macd, decay, terms) * ((1 - decay) / (1 - decay**terms))
    return bars.macd - signal


def bollinger(bars: Bars, _: int) -> Array:
    """Position of the close in its Bollinger bands: -1 at the lower band, 1 at the upper; 0 if all closes are equal."""
    mean, squared = bars.close_moments.over(BOLLINGER_CANDLES)
    return _ratio((bars.close - mean) / mean, 2.0 * np.sqrt(squared) / mean, smallest=_NO_DEVIATION)


def atr(bars: Bars, _: int) -> Array:
    """Average true range in log units (ATR over price), as a simple mean."""
    return Moments(bars.true_range, order=1).over(ATR_CANDLES)[0]


def candle_range(bars: Bars, _: int) -> Array:
    """Log of high over low."""
    return np.log(bars.high / bars.low)


def candle_body(bars: Bars, _: int) -> Array:
    """Close minus open over the range, -1 to 1; 0 if the range is 0."""
    return _ratio(bars.close - bars.open, bars.high - bars.low)


def upper_wick(bars: Bars, _: int) -> Array:
    """Share of the range above the body; 0 if the range is 0."""
    return _ratio(bars.high - np.maximum(bars.open, bars.close), bars.high - bars.low)


def lower_wick(bars: Bars, _: int) -> Array:
    """Share of the range below the body; 0 if the range is 0."""
    return _ratio(np.minimum(bars.open, bars.close) - bars.low, bars.high - bars.low)
