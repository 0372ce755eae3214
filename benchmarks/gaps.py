"""Prints whether windows can bear short gaps without harm: `python -m benchmarks.gaps FILE...`.

For several lengths of gaps that are read as "no trade": how many rows are gained; the hold-out skill of a ridge on the
rows that are there without them, trained with and without the gained rows; and its skill on the gained rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from cryptoml.data.candles import read_candles
from cryptoml.evaluation.point_metrics import root_mean_square, skill_score
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.forecaster import FittedParts, fit
from cryptoml.models.zoo import MODELS
from cryptoml.training.dataset import Dataset, build_dataset

GAPS = (1, 3, 6, 24)
# About what the folds of these files show.
SHRINKAGE = 0.5


def fitted(dataset: Dataset, until: object) -> FittedParts:
    """Fit ridge on the rows before a time."""
    rows = dataset.index < until
    spec = MODELS["ridge"]
    return fit(
        spec, spec.parameters().model_dump(), seed=1, X=dataset.features.to_numpy()[rows], y=dataset.target[rows],
        scaling_method="standard", clip_sigma=4.0,
    )  # fmt: skip


def skill(parts: FittedParts, dataset: Dataset, rows: np.ndarray) -> float:
    """Return the skill on the log return of some rows, in percent."""
    actual = dataset.target[rows]
    forecast = SHRINKAGE * parts.raw_return(dataset.features.to_numpy()[rows])
    return 100 * skill_score(root_mean_square(actual - forecast), root_mean_square(actual))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="candle files")
    options = parser.parse_args()
    print("| file | longest gap | rows | gained | skill without % | skill with % | on gained rows % |")
    print("|---|---|---|---|---|---|---|")
    for file in options.files:
        candles = read_candles(file)
        pipeline = FeaturePipeline(interval=candles.interval.label)
        strict = build_dataset(candles, pipeline, horizon=1, max_no_trade_candles=0)
        until = strict.index[int(0.8 * len(strict.index))]
        held, without = np.asarray(strict.index >= until), fitted(strict, until)
        for longest in GAPS:
            loose = build_dataset(candles, pipeline, horizon=1, max_no_trade_candles=longest)
            gained = ~np.asarray(loose.index.isin(strict.index))
            scores = [skill(parts, strict, held) for parts in (without, fitted(loose, until))]
            new = f"{skill(without, loose, gained):+.2f}" if gained.any() else "–"
            print(f"| {file.name} | {longest} | {len(strict.index):,} | {gained.sum():,} | {scores[0]:+.3f} | "
                  f"{scores[1]:+.3f} | {new} |")  # fmt: skip


if __name__ == "__main__":
    main()
