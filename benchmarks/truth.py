"""Is a verdict to be believed? Trains on simulated markets whose truth is known and counts the verdicts.

On random walks at most 5 % of the chosen models may "beat" persistence; on markets with a known share of
predictability at least 95 % must, and they reach a share of the best possible skill.
`python -m benchmarks.truth --markets 100`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cryptoml.data.candles import Candles, QualityReport
from cryptoml.data.interval import parse_interval
from cryptoml.data.simulation.simulate import simulate
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.zoo import MODELS
from cryptoml.training.cross_validate import engine_for, plan_for, train_models
from cryptoml.training.dataset import build_dataset
from cryptoml.training.results import ModelChoice, ModelResult, TrainingOptions
from cryptoml.workflows.training.registration import best_of

COLUMNS = ["open", "high", "low", "close", "volume"]


@dataclass(frozen=True)
class Outcome:
    """One model on one market. reached: its hold-out R2 on returns; possible: that of the true expectation.

    chosen: whether it is the best of the training.
    """

    model: str
    word: str
    chosen: bool
    reached: float
    possible: float


def judge(models: Sequence[str], *, signal: float, candles: int, seed: int) -> list[Outcome]:
    """Train `models` on one simulated hourly market and compare each with persistence and with the truth."""
    simulation = simulate(interval="1h", candles=candles, signal=signal, seed=seed)
    frame = simulation.frame[COLUMNS]
    report = QualityReport("simulated", "SIM", "1h", len(frame), len(frame), "", "", 0, 0, (), ())
    data = build_dataset(Candles(frame, "SIM", parse_interval("1h"), report), FeaturePipeline(), horizon=1)
    choices = [ModelChoice(MODELS[key], MODELS[key].parameters().model_dump()) for key in models]
    options = TrainingOptions(
        seed=seed,
        clip_sigma=4.0,
        scaling_method="standard",
        interval_level=0.9,
        significance_level=0.05,
        n_models=len(models),
    )
    truth = simulation.truth
    if "timestamp" in truth:
        truth = truth.set_index("timestamp")
    found = []
    plan = plan_for(data, ratio=0.8, n_folds=5, gap_candles=None)
    with engine_for(data, options) as engine:
        outcomes = list(train_models(data, plan, choices, options, engine))
    results = {one.choice.spec.key: one for one in outcomes if isinstance(one, ModelResult)}
    best = best_of(results)
    for one in outcomes:
        if not isinstance(one, ModelResult):
            raise one.error
        held = one.predictions[one.predictions["part"] == "holdout"]
        actual = held["actual_return"].to_numpy()
        expected = truth["expected_return"].reindex(held.index).to_numpy()
        power = float(np.sum(actual**2))
        found.append(
            Outcome(
                one.choice.spec.key,
                one.verdict.word,
                one.choice.spec.key == best,
                one.metrics["return_r2"],
                1 - float(np.sum((actual - expected) ** 2)) / power,
            )
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--markets", type=int, default=100)
    parser.add_argument("--models", default="rf,gbm,ridge,xgb")
    parser.add_argument("--candles", type=int, default=43_830)
    parser.add_argument("--signal", type=float, default=0.01)
    asked = parser.parse_args()
    models = asked.models.split(",")
    sure = True
    for signal in (0.0, asked.signal):
        outcomes: list[Outcome] = []
        for seed in range(asked.markets):
            outcomes += judge(models, signal=signal, candles=asked.candles, seed=seed)
        print(f"\n{asked.markets} markets of {asked.candles:,} candles, best possible R2 {signal:.2%}")
        for model in models:
            words = [one.word for one in outcomes if one.model == model]
            beats = words.count("beats") / len(words)
            reached = [one.reached for one in outcomes if one.model == model]
            possible = [one.possible for one in outcomes if one.model == model]
            share = f", {np.mean(reached) / np.mean(possible):.0%} of the best possible R2" if signal else ""
            print(f"  {model:6} beats {beats:.1%}, ties {words.count('ties') / len(words):.1%}{share}")
        words = [one.word for one in outcomes if one.chosen]
        total = words.count("beats") / len(words)
        held = total <= 0.05 if signal == 0 else total >= 0.95
        sure &= held
        print(f"  chosen beats {total:.1%}: {'as promised' if held else 'NOT AS PROMISED'}")
    sys.exit(0 if sure else 1)


if __name__ == "__main__":
    main()
