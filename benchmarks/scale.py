"""Prints how `cryptoml train` grows with the number of rows: `make bench-scale`.

Simulated one-minute candles, four models, five folds, no cache and no profile report. `fits`: CPU time of all fits
divided by the number of cores, the least time possible. `memory`: the largest memory of all processes together, each
shared page counted once (PSS, on Linux), sampled twice a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.run import CRYPTOML, KEYS, Figure, write_figures
from cryptoml.training.pools import default_workers

SIZES = (10_000, 100_000, 1_000_000, 2_100_000)
MINUTES_PER_YEAR = 525_960
AIM_RATIO, AIM_GIB = 3.0, 6.0


@dataclass(frozen=True)
class Row:
    """One training. fits: CPU seconds of the fits per core; memory: GiB."""

    candles: int
    wall: float
    fits: float
    memory: float

    def text(self) -> str:
        return (
            f"| {self.candles:,} | {self.wall:.1f} | {self.fits:.1f} | {self.wall / self.fits:.2f} "
            f"| {1e6 * self.wall / self.candles:.0f} | {self.memory:.2f} |"
        )


class Memory(threading.Thread):
    """Samples the memory of a process and its descendants; `peak`: bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(pid)
        self.peak = 0

    def run(self) -> None:
        while self._root.is_running():
            total = 0
            try:
                for process in (self._root, *self._root.children(recursive=True)):
                    memory = process.memory_full_info()
                    total += memory.pss if hasattr(memory, "pss") else memory.rss
            except psutil.Error:
                continue
            self.peak = max(self.peak, total)
            time.sleep(0.5)


def train(candles: int, folder: Path, data: Path | None = None) -> Row:
    """Train on simulated candles, or on the first rows of a file."""
    (folder / ".cryptoml").mkdir(parents=True)
    if data is None:
        data = folder / "sim.csv"
        years = candles / MINUTES_PER_YEAR
        made = [*CRYPTOML, "sample-data", "--interval", "1m", "--years", f"{years:.8f}", "-o", str(data)]
        subprocess.run(made, check=True, capture_output=True, cwd=folder)
    options = ("--no-cache", "--set", "tracking.profile_report=false", "--json")
    command = [*CRYPTOML, "train", "--data", str(data), "--models", ",".join(KEYS), *options]
    started = time.perf_counter()
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err)
        memory = Memory(process.pid)
        memory.start()
        process.wait()
    wall = time.perf_counter() - started
    if process.returncode not in (0, 6):
        sys.exit((folder / "err").read_text()[-3000:])
    models = json.loads((folder / "out").read_text())["result"]["models"]
    cpu = sum(model["metrics"]["training_time_seconds"] for model in models)
    return Row(candles, wall, cpu / default_workers(), memory.peak / 2**30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--json", type=Path, help="file for the figures, the machine and the versions")
    options = parser.parse_args()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    print("| candles | wall s | fits s | wall / fits | s per 1M candles | memory GiB |\n|---|---|---|---|---|---|")
    rows = []
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="cryptoml-bench-", ignore_cleanup_errors=True) as text:
            rows.append(train(size, Path(text) / "project"))
        print(rows[-1].text(), flush=True)
    largest = rows[-1]
    write_figures(
        [
            Figure(
                f"wall time / fit time per core, {largest.candles:,} candles",
                largest.wall / largest.fits,
                most=AIM_RATIO,
            ),
            Figure(f"memory in GiB, {largest.candles:,} candles", largest.memory, most=AIM_GIB),
        ],
        options.json,
    )


if __name__ == "__main__":
    main()
