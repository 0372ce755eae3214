"""Prints ratios of wall times: the textbook script against `cryptoml train`, same candles, same machine.

Five years of simulated hourly candles, the same models, parameters and folds. Twice: with the same code behind
every model (the forest grown by scikit-learn), and as cryptoml does it by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cryptoml.config.load import load_config
from cryptoml.models.zoo import MODELS
from cryptoml.training.pools import default_workers

HERE = Path(__file__).resolve().parent
KEYS = ("rf", "gbm", "ridge", "xgb")
CRYPTOML = [sys.executable, "-m", "cryptoml"]


@dataclass(frozen=True)
class Figure:
    """A measured value, and the least or the largest value that it should have, if any."""

    name: str
    value: float
    aim: float | None = None
    most: float | None = None

    def aim_text(self) -> str:
        if self.aim is not None:
            return f"at least {self.aim:g}"
        return "" if self.most is None else f"at most {self.most:g}"


def estimator_params(key: str, params: dict[str, object], seed: int) -> dict[str, object]:
    """What the model's own class takes for our parameters."""
    given = {name: value for name, value in params.items() if name not in ("implementation", "max_tree_rows")}
    if key == "gbm":
        given["max_iter"] = given.pop("n_estimators")
        return {**given, "max_bins": 64, "early_stopping": False, "random_state": seed}
    if key == "xgb":
        return {**given, "tree_method": "hist", "max_bin": 64, "random_state": seed}
    return {**given, "random_state": seed} if key == "rf" else {**given, "solver": "cholesky"}


def textbook(data: Path, folder: Path) -> tuple[float, dict[str, float]]:
    """Seconds of the textbook script, and its own account of them."""
    config = load_config(None, models=MODELS).config
    seed = config.training.random_seed
    asked = {
        "models": KEYS,
        "ratio": config.split.train_test_split_ratio,
        "folds": config.split.cross_validation_folds,
        "clip_sigma": config.target.clip_sigma,
        "params": {key: config.models[key] for key in KEYS},
        "shared_params": {
            "prediction_horizon": 1, "lag_windows": config.features.lag_windows, "random_seed": seed,
            "rolling_windows": config.features.rolling_windows, "scaling_method": "standard", "interval": "1h",
            "train_test_split_ratio": 0.8, "cross_validation_folds": 5, "target_column": "log_return", "symbol": "SIM",
        },
        "estimator_params": {key: estimator_params(key, config.models[key], seed) for key in KEYS},
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(asked))
    command = [sys.executable, str(HERE / "textbook.py"), str(data), str(folder / "settings.json"), str(folder)]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return seconds, json.loads(done.stdout.strip().splitlines()[-1])


def ours(data: Path, folder: Path, *options: str) -> tuple[float, dict[str, float]]:
    """Seconds of `cryptoml train`, and those of the fits of each model (they run in parallel)."""
    (folder / ".cryptoml").mkdir(parents=True, exist_ok=True)
    command = [*CRYPTOML, "train", "--data", str(data), "--models", ",".join(KEYS), "--json", *options]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 6):
        sys.exit(done.stderr[-3000:])
    rows = json.loads(done.stdout)["result"]["models"]
    return seconds, {f"fit {row['model_type']}": row["metrics"]["training_time_seconds"] for row in rows}


def show(name: str, seconds: float, parts: dict[str, float]) -> None:
    print(f"\n{name}: {seconds:.1f} s")
    for part, spent in sorted(parts.items(), key=lambda one: -one[1]):
        print(f"  {spent:8.1f} s  {part}", flush=True)


def measure(root: Path) -> list[Figure]:
    """Run the script and the trainings one after the other."""
    data = root / "sim.csv"
    subprocess.run([*CRYPTOML, "sample-data", "-o", str(data)], check=True, capture_output=True, cwd=root)
    (root / "textbook").mkdir()
    without_report = ("--set", "tracking.profile_report=false")
    by_itself = ours(data, root / "own", *without_report)
    show("cryptoml train, by itself", *by_itself)
    repeated = ours(data, root / "own", *without_report)
    show("cryptoml train, repeated with the fits of the cache", repeated[0], {})
    pinned = ours(data, root / "pinned", *without_report, "--set", "models.rf.implementation=sklearn")
    show("cryptoml train, same algorithms", *pinned)
    plain = textbook(data, root / "textbook")
    show("textbook", *plain)
    cores = default_workers()
    return [
        Figure("textbook script / cryptoml train by itself", plain[0] / by_itself[0], aim=12),
        Figure("textbook script / cryptoml train with the same algorithms", plain[0] / pinned[0]),
        Figure("first training / repeated training", by_itself[0] / repeated[0]),
        Figure("share of the cores in fits, by itself", sum(by_itself[1].values()) / cores / by_itself[0], aim=0.55),
        Figure("share of the cores in fits, same algorithms", sum(pinned[1].values()) / cores / pinned[0]),
    ]


def machine() -> dict[str, object]:
    """Return the number of cores, the platform and the versions of the libraries."""
    libraries = ("cryptoml", "mlflow", "numpy", "pandas", "scikit-learn", "scikit-learn-intelex", "xgboost")
    versions = {}
    for library in libraries:
        with suppress(PackageNotFoundError):
            versions[library] = version(library)
    return {
        "cores": default_workers(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
    }


def write_figures(figures: list[Figure], file: Path | None) -> None:
    """Print the table of figures, and write them with the machine and the versions to a JSON file if one is given."""
    print("\n| figure | measured | aim |\n|---|---|---|")
    for figure in figures:
        print(f"| {figure.name} | {figure.value:.2f} | {figure.aim_text()} |")
    if file:
        document = {"machine": machine(), "figures": [vars(figure) for figure in figures]}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="file for the figures, the machine and the versions")
    options = parser.parse_args()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory(prefix="cryptoml-bench-", ignore_cleanup_errors=True) as text:
        figures = measure(Path(text))
    write_figures(figures, options.json)


if __name__ == "__main__":
    main()
