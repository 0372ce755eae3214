"""How long a forecast from 200 candles takes in a warm process: `python -m benchmarks.latency`.

Each model as it is stored in the registry, forecasting as `cryptoml predict` does, against MLflow's pyfunc on the
same candles. Milliseconds, the median of many, and their ratio.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

CANDLES, ROUNDS = 200, 100
CRYPTOML = [sys.executable, "-m", "cryptoml"]


def milliseconds(work: Callable[[], object]) -> float:
    """The median over ROUNDS, after a few that warm up."""
    taken = []
    for _ in range(ROUNDS + 5):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return median(taken[5:])


def main() -> None:
    """Train every model, load each back from the store, time both ways."""
    from cryptoml.data.candles import read_candles
    from cryptoml.models.forecaster import load_forecaster
    from cryptoml.tracking.store.quiet import import_mlflow
    from cryptoml.workflows.predict import forecasts

    import_mlflow()
    from mlflow import pyfunc

    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / ".cryptoml").mkdir()
        environ = {**os.environ, "CRYPTOML_TRACKING__PROFILE_REPORT": "false"}
        for arguments in (
            ("sample-data", "--years", "2", "-o", "data/raw/sim.csv"),
            ("train", "--models", "rf,gbm,ridge,xgb", "--set", "gate.min_skill=-1"),
        ):
            subprocess.run([*CRYPTOML, *arguments], cwd=folder, env=environ, check=True, capture_output=True)
        candles = read_candles(folder / "data" / "raw" / "sim.csv")
        newest = replace(candles, frame=candles.frame.tail(CANDLES))
        # The stored signature takes times as text.
        table = newest.frame.reset_index().astype({"timestamp": str})
        print(f"one forecast from {CANDLES} candles, ms        cryptoml   pyfunc    ratio")
        for stored in sorted(folder.glob("mlartifacts/*/*/artifacts/models/model")):
            forecaster = load_forecaster(stored / "data" / "forecaster")
            served = pyfunc.load_model(str(stored))
            ours = milliseconds(lambda one=forecaster: forecasts(one, newest, last=1))  # type: ignore[misc]
            theirs = milliseconds(lambda one=served: one.predict(table))  # type: ignore[misc]
            print(f"{forecaster.model_type:40s} {ours:9.2f} {theirs:8.2f} {theirs / ours:8.1f}")


if __name__ == "__main__":
    main()
