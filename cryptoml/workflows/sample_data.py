"""Write simulated candles and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptoml.errors import UsageError


@dataclass(frozen=True)
class SampleData:
    """What was written; start and end are the first and last open time, ISO, UTC."""

    path: Path
    truth_path: Path
    n_candles: int
    start: str
    end: str


def make_sample_data(
    path: Path, *, symbol: str, interval: str, years: float, signal: float, seed: int, replace: bool
) -> SampleData:
    """Simulate a market and write it; raises UsageError when `path` is there and `replace` is false."""
    from cryptoml.data.simulation.simulate import simulate, write_simulation

    if path.is_dir():
        raise UsageError(f"{path}: is a folder.", hint="name a file, such as data/raw/sim.csv")
    simulation = simulate(symbol=symbol, interval=interval, years=years, signal=signal, seed=seed)
    if path.exists() and not replace:
        raise UsageError(f"{path}: is there already.", hint="choose another name, or --force to write over it")
    truth_path = write_simulation(simulation, path)
    index = simulation.frame.index
    return SampleData(path, truth_path, len(index), f"{index[0]:%Y-%m-%d %H:%M}", f"{index[-1]:%Y-%m-%d %H:%M}")
