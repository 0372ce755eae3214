"""Prints the coverage and the interval score of prediction intervals, beside other methods: `make bench-intervals`.

All methods have the rows, folds and hold-out of `cryptoml train` and forecast "no change" as the point. arch, mapie and
crepes are installed into an environment of their own (`--environment`, created if it is missing). Without files, the
candles are simulated.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.peers import environment
from cryptoml.data.candles import Candles, QualityReport, read_candles
from cryptoml.data.grid import to_grid
from cryptoml.data.interval import parse_interval
from cryptoml.data.simulation.simulate import simulate
from cryptoml.evaluation.coverage import interval_score
from cryptoml.evaluation.folds import rows
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.conformal import conformal_quantile
from cryptoml.training.cross_validate import plan_for
from cryptoml.training.dataset import Dataset, build_dataset
from cryptoml.training.intervals import fit_volatilities, interval_forecasts
from cryptoml.training.results import FINAL

HERE = Path(__file__).resolve().parent
REQUIREMENTS = ("arch==8.0.0", "mapie==1.6.0", "crepes==0.9.1", "scikit-learn<1.9")
LEVEL, DECAY = 0.9, 0.97
OWN = "cryptoml"
Bounds = tuple[np.ndarray, np.ndarray]


def markets(files: list[Path]) -> Iterator[tuple[str, Candles]]:
    """Yield name and candles of each file, or of two simulated markets."""
    for file in files:
        candles = read_candles(file)
        yield f"{candles.symbol} {candles.interval.label} {candles.frame.index[-1]:%Y}", candles
    for seed in () if files else (1, 2):
        frame = simulate(interval="1h", candles=20_000, signal=0.0, seed=seed).frame
        report = QualityReport("simulated", "SIM", "1h", len(frame), len(frame), "", "", 0, 0, (), ())
        yield (
            f"simulated {seed}",
            Candles(frame[["open", "high", "low", "close", "volume"]], "SIM", parse_interval("1h"), report),
        )


def compared(candles: Candles, horizon: int, python: Path) -> tuple[Dataset, slice, np.ndarray, dict[str, Bounds]]:
    """Return the data set, the rows of the hold-out, its expected sizes, and bounds of the log return by method."""
    dataset = build_dataset(candles, FeaturePipeline(interval=candles.interval.label), horizon=horizon)
    plan = plan_for(dataset, ratio=0.8, n_folds=5, gap_candles=None)
    held = rows(dataset.index, plan.test)
    parts = {fold.number: rows(dataset.index, fold.validation) for fold in plan.folds} | {FINAL: held}
    zeros = {number: (part, np.zeros(part.stop - part.start)) for number, part in parts.items()}
    intervals, _ = interval_forecasts(dataset, fit_volatilities(dataset, plan), zeros, level=LEVEL)
    own = intervals[FINAL]
    calibration = np.zeros(len(dataset.target), dtype=bool)
    for fold in plan.folds[1:]:
        calibration[parts[fold.number]] = True
    width = conformal_quantile(dataset.target[calibration], LEVEL)
    half = np.full(held.stop - held.start, width)
    found: dict[str, Bounds] = {"constant width": (-half, half), OWN: own.at(LEVEL)}
    grid = to_grid(candles.frame, candles.interval, max_no_trade_candles=dataset.max_no_trade_candles)
    returns = np.log(grid["close"] / grid["close"].shift())
    position = grid.index.get_indexer(dataset.index)
    weighted = np.sqrt((returns.fillna(0) ** 2).ewm(alpha=1 - DECAY).mean()).to_numpy()[position] + 1e-6
    quantile = conformal_quantile((dataset.target / weighted)[calibration], LEVEL)
    found[f"EWMA {DECAY}"] = -quantile * weighted[held], quantile * weighted[held]
    train = np.zeros(len(dataset.target), dtype=bool)
    train[rows(dataset.index, plan.train)] = True
    holdout = np.zeros(len(dataset.target), dtype=bool)
    holdout[held] = True
    with tempfile.TemporaryDirectory() as folder:
        given, bounds = Path(folder, "given.npz"), Path(folder, "bounds.npz")
        np.savez(
            given, returns=returns.to_numpy(), position=position, X=dataset.features.to_numpy(), target=dataset.target,
            recent_std=returns.rolling(24).std().to_numpy()[position] + 1e-6, train=train, calibration=calibration,
            holdout=holdout, level=LEVEL, horizon=horizon, last_from=parts[plan.folds[-1].number].start,
            train_until=grid.index.searchsorted(plan.train.end),
        )  # fmt: skip
        subprocess.run([python, HERE / "intervals_script.py", given, bounds], check=True)
        found |= {name: (both[0], both[1]) for name, both in np.load(bounds).items()}
    return dataset, held, own.size, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="candle files")
    parser.add_argument("--horizons", default="1,6,24")
    parser.add_argument("--environment", type=Path, default=Path(".venv-intervals"))
    options = parser.parse_args()
    python = environment(options.environment, REQUIREMENTS)
    print("| market | horizon | method | coverage % | calm, middle, wild third % | interval skill % |")
    print("|---|---|---|---|---|---|")
    for name, candles in markets(options.files):
        for horizon in map(int, options.horizons.split(",")):
            dataset, held, size, methods = compared(candles, horizon, python)
            actual = dataset.target[held]
            thirds = np.array_split(np.argsort(size, kind="stable"), 3)
            constant = interval_score(actual, *methods["constant width"], LEVEL)
            for method, (lower, upper) in methods.items():
                inside = (lower <= actual) & (actual <= upper)
                shares = ", ".join(f"{100 * inside[third].mean():.1f}" for third in thirds)
                skill = 100 * (1 - interval_score(actual, lower, upper, LEVEL) / constant)
                print(
                    f"| {name} | {horizon} | {method} | {100 * inside.mean():.1f} | {shares} | {skill:+.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
