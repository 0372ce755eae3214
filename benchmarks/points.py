"""Prints what the shrinkage of forecasts, and a fit on all candles, are worth on real candles.

`python -m benchmarks.points FILE...`: the models of `cryptoml train` on each file and horizon. First the hold-out skill
of the model that cross-validation chooses, for several rules of shrinkage; then the skill on the last fifth of the rows
of fits on the first 64 % and on the first 80 %, with the shrinkage from the first 64 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from cryptoml.data.candles import read_candles
from cryptoml.evaluation.shrinkage import shrinkage, slope_and_error
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.forecaster import fit
from cryptoml.models.zoo import MODELS
from cryptoml.training.cross_validate import engine_for, plan_for, train_models
from cryptoml.training.dataset import Dataset, build_dataset
from cryptoml.training.results import ModelChoice, ModelResult, TrainingOptions

OPTIONS = TrainingOptions(
    seed=42, clip_sigma=4.0, scaling_method="standard", interval_level=0.9, significance_level=0.05
)
# Slope and standard error -> factor, before it is clipped to [0, 1].
RULES: Mapping[str, Callable[[float, float], float]] = {
    "slope": lambda slope, error: slope,
    "slope less its standard error": lambda slope, error: slope - error,
    "slope, James-Stein (1 - 1 / t²)": lambda slope, error: slope * max(0.0, 1 - (error / slope) ** 2),
    "slope, James-Stein (1 - 2 / t²)": lambda slope, error: slope * max(0.0, 1 - 2 * (error / slope) ** 2),
    "slope, normal prior (sd 0.5)": lambda slope, error: slope * 0.25 / (0.25 + error**2),
    "slope if t > 1.64, else 0": lambda slope, error: slope if slope > 1.64 * error else 0.0,
}
ENSEMBLE = "non-negative weights of all models, James-Stein"


def factor(rule: Callable[[float, float], float], rows: pd.DataFrame, horizon: int) -> float:
    """Return the shrinkage by a rule, from out-of-fold forecasts."""
    slope, error = slope_and_error(rows["actual_return"].to_numpy(), rows["raw_return"].to_numpy(), horizon)
    return float(np.clip(rule(slope, error), 0, 1)) if slope > 0 else 0.0


def skill(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Return the skill on the log return, in percent."""
    return float(100 * (1 - np.sqrt(np.mean((actual - forecast) ** 2) / np.mean(actual**2))))


def trained(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Return the forecasts of each model but the baseline."""
    plan = plan_for(dataset, ratio=0.8, n_folds=5, gap_candles=None)
    choices = [ModelChoice(spec, spec.parameters().model_dump()) for spec in MODELS.values() if not spec.is_baseline]
    found = {}
    with engine_for(dataset, OPTIONS) as engine:
        for one in train_models(dataset, plan, choices, OPTIONS, engine):
            assert isinstance(one, ModelResult)
            found[one.choice.spec.key] = one.predictions
    return found


def skills_by_rule(forecasts: Mapping[str, pd.DataFrame], horizon: int) -> Iterator[tuple[str, float]]:
    """Yield each rule and the hold-out skill of the model with the lowest error on the folds after the first."""
    for name, rule in RULES.items():
        scores = {}
        for model, rows in forecasts.items():
            folds = [part for _, part in rows[rows["part"] != "holdout"].groupby("part")]
            held = rows[rows["part"] == "holdout"]
            losses = []
            for number, part in enumerate(folds[1:], 1):
                before = factor(rule, pd.concat(folds[:number]), horizon)
                losses.append(np.sum((part["actual_return"] - before * part["raw_return"]) ** 2))
            own = factor(rule, pd.concat(folds), horizon)
            held_skill = skill(held["actual_return"].to_numpy(), own * held["raw_return"].to_numpy())
            scores[model] = float(np.sum(losses)), held_skill
        yield name, min(scores.values())[1]
    yield ENSEMBLE, ensemble_skill(forecasts, horizon)


def ensemble_skill(forecasts: Mapping[str, pd.DataFrame], horizon: int) -> float:
    """Return the hold-out skill of the forecasts of all models, with weights fitted on those of the folds."""
    from scipy.optimize import nnls

    def columns(*, held: bool) -> np.ndarray:
        rows = [one[(one["part"] == "holdout") == held]["raw_return"].to_numpy() for one in forecasts.values()]
        return np.column_stack(rows)

    one = next(iter(forecasts.values()))
    is_held = one["part"] == "holdout"
    weights, _ = nnls(columns(held=False), one[~is_held]["actual_return"].to_numpy())
    rows = one[~is_held].assign(raw_return=columns(held=False) @ weights)
    own = factor(RULES["slope, James-Stein (1 - 1 / t²)"], rows, horizon)
    return skill(one[is_held]["actual_return"].to_numpy(), own * (columns(held=True) @ weights))


def refit_skills(dataset: Dataset, model: str) -> tuple[float, float]:
    """Return the skill on the last fifth of the rows of fits on the first 64 % and 80 %."""
    spec, X, y, horizon = MODELS[model], dataset.features.to_numpy(), dataset.target, dataset.horizon
    params = spec.parameters().model_dump()

    def forecast(until: int, start: int, stop: int) -> np.ndarray:
        rows = slice(0, until - horizon)
        parts = fit(spec, params, seed=OPTIONS.seed, X=X[rows], y=y[rows], scaling_method="standard", clip_sigma=4.0)
        return parts.raw_return(X[start:stop])

    early, late = int(0.64 * len(y)), int(0.8 * len(y))
    cuts = [early * part // 5 for part in range(2, 6)]
    raw = [forecast(start, start, stop) for start, stop in pairwise(cuts)]
    own = shrinkage(y[cuts[0] : cuts[-1]], np.concatenate(raw), horizon)
    actual = y[late:]
    old, new = (skill(actual, own * forecast(until, late, len(y))) for until in (early, late))
    return old, new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="candle files")
    parser.add_argument("--horizons", default="1,6,24")
    options = parser.parse_args()
    by_rule: dict[str, list[float]] = {}
    refits = []
    for file in options.files:
        candles = read_candles(file)
        for horizon in map(int, options.horizons.split(",")):
            dataset = build_dataset(candles, FeaturePipeline(interval=candles.interval.label), horizon=horizon)
            for name, value in skills_by_rule(trained(dataset), horizon):
                by_rule.setdefault(name, []).append(value)
            for model in ("ridge", "xgb"):
                old, new = refit_skills(dataset, model)
                refits.append(new - old)
                name = f"{file.name}, horizon {horizon}, {model}"
                print(f"{name}: first 64 % {old:+.3f}, first 80 % {new:+.3f}", flush=True)
    print("\n| shrinkage | median % | mean % | worst % | below -0.1 % |\n|---|---|---|---|---|")
    for name, values in by_rule.items():
        bad = sum(value < -0.1 for value in values)
        shown = " | ".join(f"{value:+.3f}" for value in (np.median(values), np.mean(values), min(values)))
        print(f"| {name} | {shown} | {bad} of {len(values)} |")
    print(f"\na newer fit gains {np.mean(refits):+.3f} points on average, median {np.median(refits):+.3f}")


if __name__ == "__main__":
    main()
