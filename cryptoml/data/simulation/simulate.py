"""Simulated candles with a known predictability, for demonstrations and for tests of models against the truth.

The log return of a candle is `volatility * (sqrt(signal) * g + sqrt(1 - signal) * shock)`. The volatility is known in
advance and independent of the shocks; `g` is a function of the previous shocks with mean 0 and variance 1. So `signal`
is exactly the predictable share of the variance of returns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.data.interval import Interval, parse_interval
from cryptoml.data.simulation import process
from cryptoml.errors import DataError, UsageError
from cryptoml.system.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

HIGHEST_SIGNAL = 0.5
MOST_CANDLES = 10_000_000
MOST_YEARS = 20

_DEFAULT_START = "2019-01-01"
# Candles in the future would be rejected as incomplete, so long series start earlier instead.
_LATEST_END = "2025-01-01"


@dataclass(frozen=True)
class Simulation:
    """Simulated candles and their true model, on the same index `timestamp` (open time, UTC).

    frame: open high low close volume. truth: `expected_return`, the mean of the *next* candle's log return given all
    candles up to and including the row's own, and `volatility`, the standard deviation around it.
    """

    frame: pd.DataFrame
    truth: pd.DataFrame
    symbol: str
    interval: Interval
    signal: float
    seed: int


def simulate(
    *,
    symbol: str = "SIM",
    interval: str = "1h",
    years: float | None = None,
    candles: int | None = None,
    signal: float = 0.0,
    seed: int = 0,
    start: str | None = None,
    price: float = 10_000.0,
) -> Simulation:
    """Simulate `years` or `candles` of a market with the predictable share `signal` of the variance of returns.

    signal: the best possible R2 on the next candle's log return, from 0 (a random walk, on which no forecast has skill)
    to 0.5. price: the open of the first candle. start: by default 2019-01-01, or earlier if the series would otherwise
    end after 2024. Volatility clusters, varies with the hour and is lower at weekends; shocks have a Student t
    distribution; volume grows with volatility and the size of the return. The same arguments give the same numbers.
    Raises UsageError for invalid arguments.
    """
    import numpy as np
    import pandas as pd

    step = parse_interval(interval)
    count = _count(years, candles, step)
    _check(symbol, signal, seed, price)
    rng = np.random.default_rng(seed)

    index = _index(start, count, step)
    opened_s = index.as_unit("s").astype("int64").to_numpy()
    # One more than the candles: the truth of the last row describes the candle after it.
    volatility = process.volatility_path(np.append(opened_s, opened_s[-1] + step.seconds), step.seconds, rng)
    shocks = process.draw_shocks(count + process.SEEN_SHOCKS, rng)

    expected = volatility * (math.sqrt(signal) * process.predictable(shocks))
    spread = volatility * math.sqrt(1 - signal)
    returns = expected[:-1] + spread[:-1] * shocks[process.SEEN_SHOCKS :]
    frame = process.candles(returns, volatility[:-1], price, rng)
    frame.index = index
    truth = pd.DataFrame({"expected_return": expected[1:], "volatility": spread[1:]}, index=index)
    return Simulation(frame, truth, symbol, step, signal, seed)


def write_simulation(simulation: Simulation, path: str | Path) -> Path:
    """Write candles to `path` (CSV, CSV.gz or Parquet), and the truth and a README to the same folder.

    The candles have an additional column `symbol`. `<stem>.truth.csv` has the columns timestamp, expected_return and
    volatility; `<stem>.README.txt` states that the candles are simulated. The same simulation gives the same bytes.
    Returns the path of the truth. Raises DataError if a file cannot be written.
    """
    from cryptoml.data.candles import write_candles

    path = Path(path)
    stem = path.name.removesuffix(".gz")
    stem = stem[: stem.rfind(".")] if "." in stem.lstrip(".") else stem
    truth, note = path.with_name(f"{stem}.truth.csv"), path.with_name(f"{stem}.README.txt")
    truth_csv = simulation.truth.to_csv(float_format="%.10g", date_format="%Y-%m-%dT%H:%M:%SZ", lineterminator="\n")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_candles(simulation.frame.assign(symbol=simulation.symbol), path)
        write_atomically(truth, truth_csv)
        write_atomically(note, _note(simulation, path.name, truth.name))
    except OSError as error:
        raise DataError(
            f"{error.filename or path}: cannot be written: {error.strerror}.",
            hint="choose a writable folder with free disk space",
        ) from error
    return truth


def _count(years: float | None, candles: int | None, step: Interval) -> int:
    if (years is None) == (candles is None):
        raise UsageError(
            "The length of the simulation is missing or ambiguous.", hint="use either --years or --candles"
        )
    count = candles if candles is not None else (years or 0.0) * process.YEAR_S / step.seconds
    if not 2 <= count <= MOST_CANDLES or count * step.seconds > MOST_YEARS * process.YEAR_S * 1.001:
        raise UsageError(
            f"{count:,.0f} candles of {step.label} cannot be simulated.",
            hint=f"use 2 to {MOST_CANDLES:,} candles and at most {MOST_YEARS} years",
        )
    return round(count)


def _check(symbol: str, signal: float, seed: int, price: float) -> None:
    if not symbol.strip():
        raise UsageError("The symbol is empty.", hint="name the market, such as SIM")
    if not 0 <= signal <= HIGHEST_SIGNAL:
        raise UsageError(
            f"Invalid signal {signal}: the best possible R2 on returns is from 0 to {HIGHEST_SIGNAL}.",
            hint="use 0 for a random walk; 0.01 is high for a real market",
        )
    if seed < 0:
        raise UsageError(f"Invalid seed {seed}.", hint="use a whole number, at least 0")
    if not 1e-6 <= price <= 1e9:
        raise UsageError(f"Invalid first price {price}.", hint="use a price from 0.000001 to 1,000,000,000")


def _index(start: str | None, count: int, step: Interval) -> pd.DatetimeIndex:
    import pandas as pd

    try:
        if start is None:
            latest = pd.Timestamp(_LATEST_END, tz="UTC") - count * step.timedelta
            first = min(pd.Timestamp(_DEFAULT_START, tz="UTC"), latest.floor("D"))
        else:
            given = pd.Timestamp(start)
            first = given.tz_localize("UTC") if given.tzinfo is None else given.tz_convert("UTC")
        return pd.date_range(first, periods=count, freq=step.timedelta, name="timestamp", unit="ns")
    except (ValueError, OverflowError) as error:
        raise UsageError(f"Invalid start {start!r} ({error}).", hint="use a date like 2019-01-01") from error


def _note(simulation: Simulation, candles: str, truth: str) -> str:
    frame = simulation.frame
    best = "the best possible R2 on the next candle's log return; 0 is a random walk"
    return (
        f"{candles}: SIMULATED candles, not prices of a real market.\n\n"
        f"symbol    {simulation.symbol}\n"
        f"interval  {simulation.interval.label}\n"
        f"candles   {len(frame)}, {frame.index[0]:%Y-%m-%d %H:%M} to {frame.index[-1]:%Y-%m-%d %H:%M} UTC\n"
        f"signal    {simulation.signal} ({best})\n"
        f"seed      {simulation.seed}\n\n"
        f"{truth} contains the best possible forecast at the close of each candle:\n"
        "expected_return, the mean of the next candle's log return, and volatility, the standard deviation\n"
        "around it. Use it only to evaluate models; never train on it.\n"
    )
