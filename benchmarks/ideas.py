"""Prints whether changes to the training of forecasts are worth their place: `python -m benchmarks.ideas FILE...`.

Each change is compared with the model as it is, on the same rows and folds: the skill on the log return, out of fold
and on the hold-out, each with the shrinkage of `cryptoml train`. A change is kept if most files say so.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.points import skill
from cryptoml.data.candles import read_candles
from cryptoml.evaluation.folds import rows
from cryptoml.evaluation.shrinkage import shrinkage
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.zoo import MODELS
from cryptoml.training.cross_validate import plan_for
from cryptoml.training.dataset import Dataset, build_dataset

CLIP_SIGMA, SEED = 4.0, 42
# One and three years of hours.
HALF_LIVES = {"half-life 1 year": 8766, "half-life 3 years": 26_298}
Fitted = Callable[[np.ndarray], np.ndarray]
# Features, clipped targets in standard deviations, and weights -> forecasts in the same unit.
Learner = Callable[[np.ndarray, np.ndarray, np.ndarray | None], Fitted]


def ridge(X: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> Fitted:
    from sklearn.linear_model import Ridge

    mean, scale = X.mean(axis=0), X.std(axis=0) + 1e-12
    model = Ridge(**MODELS["ridge"].parameters().model_dump()).fit((X - mean) / scale, y, sample_weight=weights)
    return lambda other: model.predict((other - mean) / scale)


def boosting(objective: str) -> Learner:
    def learner(X: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> Fitted:
        from xgboost import XGBRegressor

        params = MODELS["xgb"].parameters().model_dump()
        model = XGBRegressor(
            **params, objective=objective, tree_method="hist", max_bin=64, random_state=SEED, n_jobs=2, base_score=0.0
        )
        return model.fit(X, y, sample_weight=weights).predict

    return learner


def variants(dataset: Dataset, frame: pd.DataFrame) -> Mapping[str, tuple[Learner, np.ndarray, np.ndarray | None]]:
    """Return learner, features and weights of each variant; the first one of each learner is the model as it is."""
    X = dataset.features.to_numpy()
    busy = np.column_stack([X, volume_regimes(dataset, frame)])
    calm = np.column_stack([X, dataset.volatility])
    age = np.arange(len(X))[::-1]
    weights = {name: 0.5 ** (age / candles) for name, candles in HALF_LIVES.items()}
    squared = boosting("reg:squarederror")
    return {
        "ridge": (ridge, X, None),
        **{f"ridge, {name}": (ridge, X, values) for name, values in weights.items()},
        "ridge, volatility measures as features": (ridge, calm, None),
        "ridge, volume regimes as features": (ridge, busy, None),
        "xgb": (squared, X, None),
        **{f"xgb, {name}": (squared, X, values) for name, values in weights.items()},
        "xgb, volatility measures as features": (squared, calm, None),
        "xgb, volume regimes as features": (squared, busy, None),
        "xgb, pseudo-Huber loss": (boosting("reg:pseudohubererror"), X, None),
        "xgb, absolute error": (boosting("reg:absoluteerror"), X, None),
    }


def volume_regimes(dataset: Dataset, frame: pd.DataFrame) -> np.ndarray:
    """Return features of the volume regime, one row per row of the data set.

    The log of the mean volume over 6, 24 and 168 candles against that over 720 (how busy the market is), and the
    newest returns over 1 and 6 candles times each (whether moves on high volume continue or turn).
    """
    volume, close = frame["volume"], np.log(frame["close"])
    usual = volume.rolling(720, min_periods=168).mean()
    busy = [np.log((volume.rolling(window).mean() / usual).clip(1e-3, 1e3)) for window in (6, 24, 168)]
    moves = [close.diff(window) for window in (1, 6)]
    columns = [*busy, *(one * move for one in busy for move in moves)]
    return pd.concat(columns, axis=1).reindex(dataset.index).fillna(0.0).to_numpy()


def skills(dataset: Dataset, frame: pd.DataFrame, only: str) -> dict[str, tuple[float, float]]:
    """Return the skill out of fold and on the hold-out by variant, in percent; only: a part of the names."""
    plan = plan_for(dataset, ratio=0.8, n_folds=5, gap_candles=None)
    windows = [(fold.train, fold.validation) for fold in plan.folds] + [(plan.train, plan.test)]
    parts = [(rows(dataset.index, train), rows(dataset.index, used)) for train, used in windows]
    found = {}
    for name, (learner, X, weights) in variants(dataset, frame).items():
        if "," in name and only not in name:
            continue
        raw = []
        for train, used in parts:
            y = dataset.target[train]
            limit = CLIP_SIGMA * y.std()
            own = None if weights is None else weights[train]
            raw.append(learner(X[train], np.clip(y, -limit, limit) / y.std(), own)(X[used]) * y.std())
        targets = [dataset.target[used] for _, used in parts]
        before = [np.concatenate(raw[: place + 1]) for place in range(len(raw) - 1)]
        known = [np.concatenate(targets[: place + 1]) for place in range(len(raw) - 1)]
        slopes = [shrinkage(y, forecast, dataset.horizon) for y, forecast in zip(known, before, strict=True)]
        scored = [slope * forecast for slope, forecast in zip(slopes, raw[1:], strict=True)]
        found[name] = skill(np.concatenate(targets[1:-1]), np.concatenate(scored[:-1])), skill(targets[-1], scored[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="candle files")
    parser.add_argument("--horizons", default="1,6,24")
    parser.add_argument("--only", default="", help="a part of the names of the variants to try")
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    for file in options.files:
        candles = read_candles(file)
        for horizon in map(int, options.horizons.split(",")):
            dataset = build_dataset(candles, FeaturePipeline(interval=candles.interval.label), horizon=horizon)
            for name, both in skills(dataset, candles.frame, options.only).items():
                found.setdefault(name, []).append(both)
    print("| model | out of fold: median, mean % | better in | hold-out: median, mean, worst % | better in |")
    print("|---|---|---|---|---|")
    for name, pairs in found.items():
        as_is = np.array(found[name.partition(",")[0]])
        folds, held = np.array(pairs).T
        wins = [
            f"{int(np.sum(values > as_is[:, column]))} of {len(values)}" for column, values in enumerate((folds, held))
        ]
        print(
            f"| {name} | {np.median(folds):+.3f}, {np.mean(folds):+.3f} | {wins[0]} | "
            f"{np.median(held):+.3f}, {np.mean(held):+.3f}, {np.min(held):+.3f} | {wins[1]} |"
        )


if __name__ == "__main__":
    main()
