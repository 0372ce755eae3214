"""A data set of several markets, from which one model is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from cryptoml.data.symbols import POOL
from cryptoml.errors import UsageError
from cryptoml.training.dataset import Dataset


def pool_datasets(datasets: Sequence[Dataset]) -> Dataset:
    """Return the rows of all markets, sorted by time and, at the same time, by symbol.

    Windows of time therefore divide all markets at the same instants, whatever the order of `datasets`. Features are
    scale-free and targets are log returns, so that the rows of different markets can be mixed. Raises UsageError for
    a market that is given twice, or for different candle intervals.
    """
    import numpy as np
    import pandas as pd

    ordered = sorted(datasets, key=lambda dataset: dataset.symbol)
    symbols = tuple(dataset.symbol for dataset in ordered)
    repeated = next((one for one, other in pairwise(symbols) if one == other), None)
    if repeated is not None:
        raise UsageError(f"{repeated}: two of the files contain this market.", hint="name each market once")
    intervals = {dataset.interval.label: dataset.symbol for dataset in ordered}
    if len(intervals) > 1:
        found = ", ".join(f"{symbol} has {label}" for label, symbol in sorted(intervals.items()))
        raise UsageError(
            f"a pool needs candles of one interval: {found}.",
            hint="make one pool for each interval",
        )
    first = ordered[0]
    markets = np.repeat(np.arange(len(ordered), dtype=np.int16), [len(dataset.index) for dataset in ordered])
    times = np.concatenate([dataset.index.values for dataset in ordered])
    order = np.lexsort((markets, times))
    index = pd.DatetimeIndex(times[order], tz="UTC", name=first.index.name)
    features = np.concatenate([dataset.features.to_numpy() for dataset in ordered])[order]

    def joined(name: str) -> np.ndarray:
        values: np.ndarray = np.concatenate([getattr(dataset, name) for dataset in ordered])[order]
        return values

    return replace(
        first,
        features=pd.DataFrame(features, index=index, columns=first.features.columns, copy=False),
        target=joined("target"),
        price_now=joined("price_now"),
        actual_price=joined("actual_price"),
        volatility=joined("volatility"),
        symbol=POOL,
        symbols=symbols,
        markets=markets[order],
    )
