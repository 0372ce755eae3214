"""How long short commands take to start: `python -m benchmarks.startup`.

CPU seconds (user and system) of each command in a trained project, and the ratio to a reference: `import mlflow` for
commands that read the store, `import typer, rich` for --help. Each round runs all commands one after another, so that
they share the machine's load; medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.run import Figure, write_figures

ROUNDS = 5
PYTHON = [sys.executable]
CRYPTOML = [*PYTHON, "-m", "cryptoml"]
AIMS = {"import mlflow": 1.3, "import typer, rich": 2.0}
# name: command, name of its reference
Cases = dict[str, tuple[list[str], str]]


def cases(run_id: str) -> Cases:
    """The commands that are timed. `register` and `promote` find nothing to do, so that each round does the same."""
    reason = ["--force", "--reason", "benchmark"]
    return {
        "import mlflow": ([*PYTHON, "-c", "import mlflow"], "import mlflow"),
        "compare": ([*CRYPTOML, "compare"], "import mlflow"),
        "promote": ([*CRYPTOML, "promote", "v1", "production", *reason], "import mlflow"),
        "register": ([*CRYPTOML, "register", run_id, *reason], "import mlflow"),
        "predict": ([*CRYPTOML, "predict", "--stale-ok"], "import mlflow"),
        "import typer, rich": ([*PYTHON, "-c", "import typer, rich"], "import typer, rich"),
        "--help": ([*CRYPTOML, "--help"], "import typer, rich"),
    }


def cpu_seconds(command: Sequence[str], folder: Path) -> float:
    """User and system time of the command and its children; raises CalledProcessError if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def prepare(folder: Path) -> str:
    """Train a ridge on simulated candles, register it and promote it to production; return the run's id."""
    (folder / ".cryptoml").mkdir()
    environ = {**os.environ, "CRYPTOML_TRACKING__PROFILE_REPORT": "false"}

    def cryptoml(*arguments: str) -> str:
        done = subprocess.run(
            [*CRYPTOML, *arguments], cwd=folder, env=environ, check=True, capture_output=True, text=True
        )
        return done.stdout

    cryptoml("sample-data", "--years", "1", "-o", "data/raw/sim.csv")
    unregistered = ("--set", "registry.register_best=false", "--set", "gate.min_skill=-1")
    models = json.loads(cryptoml("train", "--models", "ridge", *unregistered, "--json"))["result"]["models"]
    run_id = next(str(one["run_id"]) for one in models if one["model_type"] == "ridge")
    cryptoml("register", run_id, "--force", "--reason", "benchmark")
    cryptoml("promote", "v1", "staging", "--force", "--reason", "benchmark")
    cryptoml("promote", "v1", "production", "--force", "--reason", "benchmark")
    return run_id


def main() -> None:
    """Print the times and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, help="file for the figures, the machine and the versions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        timed = cases(prepare(folder))
        for command, _ in timed.values():
            # Writes compiled files and fills the disk cache.
            cpu_seconds(command, folder)
        taken = [
            {name: cpu_seconds(command, folder) for name, (command, _) in timed.items()} for _ in range(options.rounds)
        ]
    print(f"{'command':20s} {'CPU s':>7s}")
    for name in timed:
        print(f"{name:20s} {median(one[name] for one in taken):7.3f}")
    write_figures(
        [
            Figure(
                f"CPU time of {name} / {reference}", median(one[name] / one[reference] for one in taken),
                most=AIMS[reference],
            )
            for name, (_, reference) in timed.items()
            if name != reference
        ],
        options.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
