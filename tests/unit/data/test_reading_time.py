"""The time to read a file grows with its rows, not with their square. CPU times of one process are compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.candles import read_candles

FEW, MANY = 25_000, 100_000
# Four times the rows: quadratic time is a factor of 16.
MOST = 10


def minutes(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    close = np.round(60_000 * np.exp(np.cumsum(rng.normal(0, 0.001, n))), 2)
    opened = np.concatenate([[60_000.0], close[:-1]])
    index = pd.date_range("2019-01-01", periods=n, freq="min", tz="UTC")
    values = {"open": opened, "high": np.maximum(opened, close) + 1, "low": np.minimum(opened, close) - 1}
    return pd.DataFrame({"timestamp": index, **values, "close": close, "volume": rng.uniform(1, 9, n).round(3)})


def as_csv(frame: pd.DataFrame, path: Path) -> Path:
    file = path / "BTCUSDT.csv"
    frame.to_csv(file, index=False)
    return file


def dates(frame: pd.DataFrame, path: Path) -> Path:
    return as_csv(frame.assign(timestamp=frame["timestamp"].dt.strftime("%d.%m.%Y %H:%M")), path)


def epochs(frame: pd.DataFrame, path: Path) -> Path:
    return as_csv(frame.assign(timestamp=frame["timestamp"].astype("int64") // 10**6), path)


def texts(frame: pd.DataFrame, path: Path) -> Path:
    prices = {name: [f"{value:,.2f}" for value in frame[name]] for name in ("open", "high", "low", "close")}
    return as_csv(frame.assign(**prices), path)


def documents(frame: pd.DataFrame, path: Path) -> Path:
    file = path / "BTCUSDT.json"
    frame.assign(timestamp=frame["timestamp"].astype("int64") // 10**6).to_json(file, orient="records")
    return file


@pytest.mark.slow
@pytest.mark.parametrize("write", [as_csv, dates, epochs, texts, documents])
def test_time_is_not_quadratic(write: Callable[[pd.DataFrame, Path], Path], tmp_path: Path) -> None:
    read_candles(write(minutes(2000), tmp_path))
    spent = []
    for n in (FEW, MANY):
        file = write(minutes(n), tmp_path)
        began = time.process_time()
        read_candles(file)
        spent.append(time.process_time() - began)
    assert spent[1] < MOST * spent[0]
