"""Prints the time of features beside that of mlforecast's transforms: `make bench-features`.

The same lags, and rolling means and standard deviations of log returns over the same windows, of one series; both in
one thread. mlforecast works on returns that are given, cryptoml computes them from candles, too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.peers import environment
from benchmarks.run import Figure, write_figures
from cryptoml.features.pipeline import DEFAULT_LAG_WINDOWS, DEFAULT_ROLLING_WINDOWS, FeaturePipeline

HERE = Path(__file__).resolve().parent


def candles(rows: int) -> pd.DataFrame:
    """Return a random walk of one-minute candles."""
    rng = np.random.default_rng(1)
    close = 1e4 * np.exp(np.cumsum(rng.normal(0, 1e-3, rows)))
    index = pd.date_range("2015-01-01", periods=rows, freq="min", tz="UTC")
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close), index=index)
    return frame.assign(volume=1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, default=Path(".venv-peers"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="file for the figures, the machine and the versions")
    options = parser.parse_args()
    python = environment(options.environment.absolute())
    grid = candles(options.rows)
    pipeline = FeaturePipeline(features=("lagged_return", "return_mean", "return_std"), interval="1m")
    times = []
    for _ in range(5):
        started = time.perf_counter()
        pipeline.transform(grid)
        times.append(time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "returns.npy")
        np.save(file, np.diff(np.log(grid["close"].to_numpy()), prepend=np.nan)[1:])
        windows = (",".join(map(str, one)) for one in (DEFAULT_LAG_WINDOWS, DEFAULT_ROLLING_WINDOWS))
        command = [python, HERE / "mlforecast_script.py", file, *windows]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    theirs = float(done.stdout.split()[-1])
    n_columns = len(pipeline.feature_names)
    print(f"{options.rows:,} rows, {n_columns} columns: mlforecast {theirs:.2f} s, cryptoml {min(times):.2f} s")
    write_figures([Figure("mlforecast's transforms / cryptoml's features", theirs / min(times), aim=1)], options.json)


if __name__ == "__main__":
    main()
