"""Write simulated candles and the parameters of their simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptoml.errors import UsageError


@dataclass(frozen=True)
class SampleData:
    """The written files. start and end: first and last open time, UTC."""

    path: Path
    truth_path: Path
    n_candles: int
    start: str
    end: str


def make_sample_data(
    path: Path, *, symbol: str, interval: str, years: float, signal: float, seed: int, replace: bool
) -> SampleData:
    """Simulate candles and write them. Raise UsageError if `path` exists and `replace` is false."""
    from cryptoml.data.simulation.simulate import simulate, write_simulation

    if path.is_dir():
        raise UsageError(f"{path}: is a folder.", hint="pass a file such as data/raw/sim.csv")
    simulation = simulate(symbol=symbol, interval=interval, years=years, signal=signal, seed=seed)
    if path.exists() and not replace:
        raise UsageError(f"{path}: already exists.", hint="choose another name, or overwrite it with --force")
    truth_path = write_simulation(simulation, path)
    index = simulation.frame.index
    return SampleData(path, truth_path, len(index), f"{index[0]:%Y-%m-%d %H:%M}", f"{index[-1]:%Y-%m-%d %H:%M}")
