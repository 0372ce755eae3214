"""Who wins, whether the gate lets it in, and what is written on the new version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cryptoml.config import Config

if TYPE_CHECKING:
    from cryptoml.data.quality import QualityReport
    from cryptoml.registry.gate import ChampionDuel, GateDecision
    from cryptoml.tracking.journal import JournalRun
    from cryptoml.training.run import ModelResult
    from cryptoml.workflows.inputs import TrainingData
    from cryptoml.workflows.recording import TrainingContext

BASELINE = "persistence"


def best_of(results: Mapping[str, ModelResult]) -> str | None:
    """The model with the least cv_rmse_mean, persistence left out; never chosen by the hold-out."""
    rivals = {key: one.metrics["cv_rmse_mean"] for key, one in results.items() if key != BASELINE}
    return min(rivals, key=lambda key: (rivals[key], key)) if rivals else None


def judge(
    result: ModelResult, report: QualityReport, config: Config, *, champion: ChampionDuel | None = None
) -> GateDecision:
    """Ask the gate about a trained model, the candles it was trained on, and its duel with the model in production."""
    from cryptoml.data.gates import check_quality
    from cryptoml.registry.gate import GateInput, GateThresholds, decide

    return decide(
        GateInput(
            verdict=result.verdict.word,
            p_value=result.verdict.p_value,
            skill=result.metrics["skill"],
            cv_rmse_mean=result.metrics["cv_rmse_mean"],
            # How old the candles are matters when a forecast is made, not when a model is trained.
            data_problems=tuple(
                one.fact for one in check_quality(report, config.quality, age_intervals=None) if not one.passed
            ),
            champion=champion,
        ),
        GateThresholds(
            min_skill=config.gate.min_skill,
            require=config.gate.require,
            level=config.training.significance_level,
        ),
    )


def request_registration(
    run: JournalRun, result: ModelResult, data: TrainingData, context: TrainingContext, model_name: str
) -> None:
    """Note in the journal that this run becomes a version; delivery does it, now or by a later sync."""
    metrics = result.metrics
    dataset = data.dataset
    description = (
        f"{result.choice.spec.long_name} ({result.implementation}) for {dataset.symbol} {dataset.interval.label}, "
        f"{dataset.horizon} candle(s) ahead. Trained on {data.path.name} "
        f"({dataset.index[0]:%Y-%m-%d} to {dataset.index[-1]:%Y-%m-%d}, data set {context.dataset_version}). "
        f"It {result.verdict.word} persistence: hold-out skill {100 * metrics['skill']:+.3f} %, "
        f"p {result.verdict.p_value:.3g}; cv RMSE {metrics['cv_rmse_mean']:.6g}, "
        f"hold-out RMSE {metrics['test_rmse']:.6g}. Run {run.run_name}."
    )
    run.request_registration(
        model_name,
        description=description,
        tags={
            "model_type": result.choice.spec.key,
            "run_name": run.run_name,
            "training_id": context.training_id,
            "dataset_version": context.dataset_version,
            "symbol": dataset.symbol,
            "interval": dataset.interval.label,
            "prediction_horizon": dataset.horizon,
            "verdict": result.verdict.word,
            "skill": f"{metrics['skill']:.6f}",
            "cv_rmse_mean": f"{metrics['cv_rmse_mean']:.10g}",
            "git_commit": context.git_commit,
            "author": context.author,
        },
    )
