"""Prints the throughput of fits on a Dask cluster of this machine, and what more machines would give.

Many simulated markets and four models, trained locally and on a scheduler with one worker process per core: `make
bench-dask`. The table of more machines is calculated from the measured times: the command's own work per market, which
its machine does, the fits, which are divided among all machines, and the transfer of a market's rows to each machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from socket import socket

from benchmarks.run import CRYPTOML, KEYS, Figure, write_figures
from cryptoml.training.pools import default_workers

AIM = 0.85
MACHINES = (1, 2, 10, 100)
CORES_PER_MACHINE = 8
# One gigabit per second, and 54 features of 4 bytes.
BYTES_PER_SECOND, BYTES_PER_ROW = 125e6, 54 * 4 + 8


def start_cluster(folder: Path, workers: int) -> tuple[str, list[subprocess.Popen[bytes]]]:
    """Start a scheduler and workers with one thread each, and wait for them."""
    import distributed

    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen(command, **quiet) for command in (scheduler, *[worker] * workers)]
    with distributed.Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=60)
    return address, processes


def train(folder: Path, data: Path, *options: str) -> tuple[float, float]:
    """Return the wall time of a training of all markets, and the CPU time of its fits."""
    (folder / ".cryptoml").mkdir(parents=True)
    command = [*CRYPTOML, "train", "--data", str(data), "--models", ",".join(KEYS), "--no-cache", "--json", *options]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 6):
        sys.exit(done.stderr[-3000:])
    trainings = [market["training"] for market in json.loads(done.stdout)["result"]["markets"]]
    models = [model for training in trainings for model in training["models"]]
    return seconds, sum(model["metrics"]["training_time_seconds"] for model in models)


def estimate(markets: int, *, start: float, own: float, fits: float, rows: int, machines: int) -> float:
    """Return the seconds of a training of `markets` markets on `machines` machines.

    start: of the command; own: CPU seconds of its work per market, on the machine of the command; fits: CPU seconds of
    the fits of a market, on all machines. Work, fits and transfer overlap, so that the longest of them counts.
    """
    transfer = rows * BYTES_PER_ROW * machines / BYTES_PER_SECOND
    cores = CORES_PER_MACHINE
    return start + markets * max(own / cores, transfer, fits / (machines * cores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=20)
    parser.add_argument("--years", type=float, default=2.0)
    parser.add_argument("--json", type=Path, help="file for the figures, the machine and the versions")
    options = parser.parse_args()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    cores = default_workers()
    with tempfile.TemporaryDirectory(prefix="cryptoml-bench-", ignore_cleanup_errors=True) as text:
        root = Path(text)
        for number in range(options.markets):
            made = ["--years", str(options.years), "--seed", str(number), "--symbol", f"M{number:02}USDT"]
            file = root / "data" / f"M{number:02}USDT_1h.csv"
            subprocess.run(
                [*CRYPTOML, "sample-data", *made, "-o", str(file)], check=True, capture_output=True, cwd=root
            )
        one = root / "one"
        one.mkdir()
        for name in ("M00USDT_1h.csv", "M01USDT_1h.csv"):
            (one / name).write_bytes((root / "data" / name).read_bytes())
        here, cpu = train(root / "here", root / "data")
        two, _ = train(root / "two", one)
        address, processes = start_cluster(root, cores)
        try:
            there, _ = train(root / "there", root / "data", "--engine", "dask", "--dask-address", address)
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    process.kill()
    per_market = (here - two) / (options.markets - 2)
    start = max(here - options.markets * per_market, 0.0)
    fits = cpu / options.markets
    # What the cores did besides the fits is the command's own work: reading, plots, records and their delivery.
    own = max(per_market * cores - fits, 0.0)
    print(f"{options.markets} markets of {options.years:g} years, {len(KEYS)} models, {cores} cores")
    print(f"local {here:.1f} s, Dask {there:.1f} s")
    print(f"start {start:.1f} s; CPU seconds per market: {own:.2f} of the command's own work, {fits:.2f} of fits\n")
    rows = int(options.years * 8766)
    print("| machines of 8 cores | 100 markets, s | 1,000 markets, s |\n|---|---|---|")
    for machines in MACHINES:
        times = [estimate(n, start=start, own=own, fits=fits, rows=rows, machines=machines) for n in (100, 1000)]
        print(f"| {machines} | {times[0]:.0f} | {times[1]:.0f} |")
    write_figures([Figure("throughput on Dask / local throughput", here / there, aim=AIM)], options.json)


if __name__ == "__main__":
    main()
