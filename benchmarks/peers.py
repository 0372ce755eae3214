"""Prints the run time of PyCaret beside `cryptoml train`: `make bench-peers`.

One year of simulated hourly candles, the same features, four models and five folds; PyCaret's models once by its own
names and defaults, and once with the estimators and parameters of cryptoml. PyCaret needs older libraries, so it is
installed into an environment of its own (`--environment`, created if it is missing).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.run import CRYPTOML, KEYS, Figure, estimator_params, ours, write_figures
from cryptoml.config.load import load_config
from cryptoml.models.zoo import MODELS

HERE = Path(__file__).resolve().parent
# PyCaret's names of the four models, with its defaults.
NAMES = ("rf", "gbr", "ridge", "xgboost")
# six: scikit-plot imports it without requiring it.
REQUIREMENTS = ("pycaret==3.3.2", "xgboost<3", "six", "mlforecast==1.1.0")


def environment(folder: Path, requirements: Sequence[str] = REQUIREMENTS) -> Path:
    """Return the Python of an environment, which is created with the requirements if it is missing."""
    python = folder / "bin" / "python"
    if not python.is_file():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *requirements], check=True)
    return python


def write_table(data: Path, table: Path) -> None:
    """Write the features and the target that `cryptoml train` uses."""
    import numpy as np

    from cryptoml.data.candles import read_candles
    from cryptoml.features.pipeline import FeaturePipeline
    from cryptoml.training.dataset import build_dataset

    dataset = build_dataset(read_candles(data), FeaturePipeline(), horizon=1)
    names = np.array(dataset.features.columns, dtype=str)
    np.savez(table, names=names, features=dataset.features.to_numpy(), target=dataset.target)


def pycaret(python: Path, table: Path, *, names: tuple[str, ...]) -> float:
    """Return the seconds of the script with models by PyCaret's names, or without names with our parameters."""
    config = load_config(None, models=MODELS).config
    seed = config.training.random_seed
    asked = {
        "ratio": config.split.train_test_split_ratio,
        "folds": config.split.cross_validation_folds,
        "seed": seed,
        "names": names,
        "estimator_params": {key: estimator_params(key, config.models[key], seed) for key in KEYS},
    }
    settings = table.with_name("settings.json")
    settings.write_text(json.dumps(asked))
    started = time.perf_counter()
    done = subprocess.run(
        [python, HERE / "pycaret_script.py", table, settings],
        cwd=table.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, default=Path(".venv-peers"))
    parser.add_argument("--years", type=float, default=1.0)
    parser.add_argument("--json", type=Path, help="file for the figures, the machine and the versions")
    options = parser.parse_args()
    python = environment(options.environment.absolute())
    with tempfile.TemporaryDirectory(prefix="cryptoml-bench-", ignore_cleanup_errors=True) as text:
        root = Path(text)
        data, table = root / "sim.csv", root / "table.npz"
        made = [*CRYPTOML, "sample-data", "--years", str(options.years), "-o", str(data)]
        subprocess.run(made, check=True, capture_output=True, cwd=root)
        write_table(data, table)
        own, _ = ours(data, root / "own", "--set", "tracking.profile_report=false")
        by_name = pycaret(python, table, names=NAMES)
        same = pycaret(python, table, names=())
    print(f"cryptoml train {own:.1f} s; PyCaret {by_name:.1f} s by name, {same:.1f} s with our parameters")
    figures = [
        Figure("PyCaret compare_models, by name / cryptoml train, one year of hours", by_name / own, aim=10),
        Figure("PyCaret compare_models, our parameters / cryptoml train, one year of hours", same / own),
    ]
    write_figures(figures, options.json)


if __name__ == "__main__":
    main()
