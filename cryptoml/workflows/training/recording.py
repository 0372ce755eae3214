"""Record a run: its tags, parameters, metrics and artifacts. Their names are stable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.models.interval import Interval, ScaledInterval
from cryptoml.registry.fit_tag import ALL_CANDLES, BEFORE_HOLDOUT, FIT_TAG
from cryptoml.registry.model_digest import MODEL_SHA256, model_digest
from cryptoml.registry.model_names import MODEL_NAME_TAG
from cryptoml.reports.forecast_files import ForecastReport
from cryptoml.workflows.training.context import TrainingContext
from cryptoml.workflows.training.environment import environment
from cryptoml.workflows.training.horizons import prefix
from cryptoml.workflows.training.pool_records import (
    MAX_MARKETS,
    market_metrics,
    market_title,
    pool_metadata,
    shortened,
    shown_market,
)

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.data.cleaning.quality import QualityReport
    from cryptoml.evaluation.folds import Plan
    from cryptoml.tracking.journal.journal import JournalRun
    from cryptoml.training.dataset import Dataset
    from cryptoml.training.results import ModelChoice, ModelResult

MODEL_PATH = "models/model"
# The horizons that the stored model forecasts, if there are several.
HORIZONS_TAG = "horizons"
TARGET_COLUMN = "log_return"


def start_tags(context: TrainingContext, choice: ModelChoice) -> dict[str, str]:
    """Return the tags that a run has from its start."""
    return {
        **context.more_tags,
        "model_type": choice.spec.key,
        "status": "running",
        "dataset_version": context.dataset_version,
        "author": context.author,
        "purpose": context.config.config.tracking.purpose,
        "training_id": context.training_id,
        "git_commit": context.git_commit,
        "config_hash": context.config.hash(),
        MODEL_NAME_TAG: context.model_name,
    }


def params(context: TrainingContext, choice: ModelChoice, dataset: Dataset, plan: Plan) -> dict[str, object]:
    """Return the hyperparameters, including defaults, and the parameters of the data and the split."""
    config = context.config.config
    shared: dict[str, object] = {
        "prediction_horizon": dataset.horizon,
        "lag_windows": list(config.features.lag_windows),
        "rolling_windows": list(config.features.rolling_windows),
        "scaling_method": config.features.scaling_method,
        "train_test_split_ratio": config.split.train_test_split_ratio,
        "cross_validation_folds": len(plan.folds),
        "gap_candles": plan.gap_candles,
        "clip_sigma": config.target.clip_sigma,
        "interval_level": config.training.interval_level,
        "start_date": f"{dataset.index[0]:%Y-%m-%d %H:%M}",
        "end_date": f"{dataset.index[-1]:%Y-%m-%d %H:%M}",
        "random_seed": config.training.random_seed,
        "target_column": TARGET_COLUMN,
        "interval": dataset.interval.label,
        "symbol": dataset.symbol,
    }
    if dataset.symbols:
        shared |= {"markets": shortened(dataset.symbols), "n_markets": len(dataset.symbols)}
    if context.config.config.target.further_horizons:
        shared["further_horizons"] = list(context.config.config.target.further_horizons)
    return {**choice.params, **shared}


def record_result(
    run: JournalRun,
    result: ModelResult,
    *,
    context: TrainingContext,
    reports: Sequence[QualityReport],
    dataset: Dataset,
    plan: Plan,
    folder: Path,
) -> None:
    """Record a trained model in its journal. folder: where `write_forecasts` wrote; the other artifacts are added."""
    run.set_tags({"implementation": result.implementation, "verdict": result.verdict.word, FIT_TAG: fit_of(result)})
    if result.further:
        run.set_tags({HORIZONS_TAG: ",".join(str(horizon) for horizon in result.forecaster.by_horizon)})
    run.log_metrics(result.metrics)
    for market in result.markets[:MAX_MARKETS]:
        run.log_metrics(market_metrics(market))
    for one in result.further:
        start = prefix(one.forecaster.horizon)
        run.log_metrics({f"{start}{name}": value for name, value in one.metrics.items()})
        run.set_tags({f"{start}verdict": one.verdict.word})
    for name, values in result.fold_metrics.items():
        for fold, value in zip(result.folds, values, strict=True):
            run.log_metrics({name: value}, step=fold.number)
    _write_metadata(folder / "metadata", result, context, reports, dataset, plan)
    if not result.choice.spec.is_baseline:
        _write_model(folder / "models", result)
        run.set_tags({MODEL_SHA256: model_digest(folder / MODEL_PATH)})
    for part in sorted(folder.iterdir()):
        run.add_artifact_folder(part, part.name)


def forecast_report(result: ModelResult, context: TrainingContext, dataset: Dataset) -> ForecastReport:
    """Return what `write_forecasts` needs of a model."""
    market = shown_market(dataset)
    return ForecastReport(
        predictions=result.predictions,
        importance=result.importance,
        folds=result.folds,
        market=market,
        title=f"{result.choice.spec.long_name}, {market_title(dataset)}",
        subtitle=f"data set {context.dataset_version[:22]}, {result.verdict.word} persistence",
        timestamp=context.timestamp,
        # The intervals of persistence are about those of the models, and each file costs a request.
        interval_level=None if result.choice.spec.is_baseline else result.forecaster.interval_level,
        further={one.forecaster.horizon: one.predictions for one in result.further},
    )


def _write_metadata(
    folder: Path,
    result: ModelResult,
    context: TrainingContext,
    reports: Sequence[QualityReport],
    dataset: Dataset,
    plan: Plan,
) -> None:
    """Write all metadata to one JSON file, as each artifact costs a request to the store."""
    folder.mkdir()
    _write_json(
        folder / "training_metadata.json",
        {
            "training_id": context.training_id,
            "model_type": result.choice.spec.key,
            "implementation": result.implementation,
            "params": dict(result.choice.params),
            "source": context.source,
            "dataset_version": context.dataset_version,
            "symbol": dataset.symbol,
            "interval": dataset.interval.label,
            "horizon_candles": dataset.horizon,
            "target": TARGET_COLUMN,
            "features": list(dataset.pipeline.feature_names),
            "warmup_candles": dataset.pipeline.warmup_candles,
            "gap_candles": plan.gap_candles,
            "train": [str(plan.train.start), str(plan.train.end)],
            "holdout": [str(plan.test.start), str(plan.test.end)],
            "folds": [
                {
                    "fold": fold.number,
                    "train": [str(fold.train_start), str(fold.train_end)],
                    "validation": [str(fold.validation_start), str(fold.validation_end)],
                    "n_train": fold.n_train,
                    "n_validation": fold.n_validation,
                    "shrinkage": fold.shrinkage,
                    "rmse": fold.rmse,
                    "baseline_rmse": fold.baseline_rmse,
                }
                for fold in result.folds
            ],
            "verdict": {
                "word": result.verdict.word,
                "p_value": result.verdict.p_value,
                "statistic": result.verdict.statistic,
            },
            "fit": {
                "rows": result.refit_rows or int(result.metrics["n_train_samples"]),
                "unseen_from": result.forecaster.unseen_from,
            },
            "interval_level": result.forecaster.interval_level,
            "prediction_interval": _prediction_interval(result.forecaster.interval),
            "git_commit": context.git_commit,
            "config_hash": context.config.hash(),
            "feature_importance": _ranked(result.importance),
            "quality_report": reports[0].to_dict(),
            "further_horizons": [
                {"horizon_candles": one.forecaster.horizon, "verdict": one.verdict.word, "metrics": dict(one.metrics)}
                for one in result.further
            ],
            **pool_metadata(result, reports),
            "config": context.config.resolved(),
            "environment": environment(),
        },
    )


def fit_of(result: ModelResult) -> str:
    """Return which rows the stored model was fitted on, for the tag `fit`."""
    return ALL_CANDLES if result.refit_rows else BEFORE_HOLDOUT


def _prediction_interval(interval: Interval) -> dict[str, Any]:
    """Describe the interval part of a forecaster that was just trained."""
    assert isinstance(interval, ScaledInterval)
    return {
        "levels": list(interval.levels),
        "symmetric": interval.symmetric,
        "volatility": vars(interval.volatility),
    }


def _ranked(importance: pd.Series[float] | None) -> dict[str, float]:
    """Return the importance by feature in descending order; empty for a model without importance."""
    if importance is None:
        return {}
    ranked = importance.sort_values(ascending=False, kind="stable")
    return {str(name): float(share) for name, share in ranked.items()}


def _write_model(folder: Path, result: ModelResult) -> None:
    import tempfile

    from cryptoml.registry.stored_model import write_model_folder

    folder.mkdir()
    with tempfile.TemporaryDirectory(dir=folder.parent.parent) as temporary:
        parts = Path(temporary) / "forecaster"
        result.forecaster.save(parts)
        write_model_folder(
            parts,
            folder / "model",
            requirements=result.choice.spec.requirements,
            output_columns=result.forecaster.served_columns,
        )


def _write_json(path: Path, document: Mapping[str, Any] | list[Any]) -> None:
    path.write_text(json.dumps(document, indent=1, default=str) + "\n", encoding="utf-8")
