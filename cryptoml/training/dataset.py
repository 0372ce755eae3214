"""The rows for training: features and targets of candles on the regular grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.data.grid import to_grid
from cryptoml.data.interval import Interval, max_no_trade
from cryptoml.errors import DataError
from cryptoml.features.pipeline import FeaturePipeline, log_return_target
from cryptoml.features.volatility import volatility_features, volatility_windows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.data.candles import Candles


@dataclass(frozen=True)
class Dataset:
    """The rows with all features and a target; all parts share one ascending UTC index.

    In a pool of several markets the times repeat, and `markets` has the position of each row's market in `symbols`;
    both are empty for one market.

    features: float32, one column per feature, no NaN. target: log return over the horizon, float64.
    price_now, actual_price: close of the row's candle and of the candle `horizon` candles later. volatility: measures
    of the volatility, float32 (rows, columns), no NaN.
    """

    features: pd.DataFrame
    target: np.ndarray
    price_now: np.ndarray
    actual_price: np.ndarray
    symbol: str
    interval: Interval
    horizon: int
    pipeline: FeaturePipeline
    max_no_trade_candles: int
    newest_candles: pd.DataFrame
    volatility: NDArray[np.float32]
    symbols: tuple[str, ...] = ()
    markets: NDArray[np.int16] | None = None

    @property
    def index(self) -> pd.DatetimeIndex:
        """The open times of the candles from which forecasts are made."""
        index: pd.DatetimeIndex = self.features.index  # type: ignore[assignment]
        return index


def build_dataset(
    candles: Candles, pipeline: FeaturePipeline, *, horizon: int, max_no_trade_candles: int | None = None
) -> Dataset:
    """Compute features and targets; candles inserted for missing trades are not used as rows.

    Raises DataError if no row has all features, or if the price never moves.
    """
    import numpy as np

    max_no_trade_candles = max_no_trade(candles.interval, max_no_trade_candles)
    grid = to_grid(candles.frame, candles.interval, max_no_trade_candles=max_no_trade_candles)
    features = pipeline.transform(grid)
    target = log_return_target(grid, horizon)
    usable = features.notna().to_numpy().all(axis=1)
    usable &= target.notna().to_numpy() & ~grid["no_trade"].to_numpy()
    if not usable.any():
        raise DataError(
            f"{candles.report.source}: none of the {len(candles.frame):,} candles has all features.",
            hint=f"use at least {pipeline.warmup_candles + horizon} candles without a gap, or shorter windows "
            "(--set features.rolling_windows=6,24)",
        )
    values = target.to_numpy()[usable]
    if not np.any(values):
        raise DataError(
            f"{candles.report.source}: the price never changes, so there is nothing to forecast.",
            hint="check that this is the right file and column",
        )
    close = grid["close"].to_numpy()[usable]
    windows = volatility_windows(pipeline.warmup_candles)
    return Dataset(
        features=features[usable],
        target=values,
        price_now=close,
        actual_price=grid["close"].shift(-horizon).to_numpy()[usable],
        symbol=candles.symbol,
        interval=candles.interval,
        horizon=horizon,
        pipeline=pipeline,
        max_no_trade_candles=max_no_trade_candles,
        newest_candles=candles.frame.tail(pipeline.warmup_candles + horizon + 1),
        volatility=volatility_features(grid, windows, candles.interval.seconds)[usable],
    )
