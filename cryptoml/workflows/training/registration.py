"""Select the best run, evaluate the gate, and describe the new version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.config.schema import Config
from cryptoml.evaluation.figures import figure
from cryptoml.evaluation.metrics import stored_value
from cryptoml.registry.fit_tag import ALL_CANDLES, BEFORE_HOLDOUT, FIT_TAG
from cryptoml.registry.model_digest import MODEL_SHA256
from cryptoml.registry.registrar import CONFIG_HASH
from cryptoml.system.plurals import counted
from cryptoml.workflows.training.recording import HORIZONS_TAG, fit_of

if TYPE_CHECKING:
    from cryptoml.data.cleaning.quality import QualityReport
    from cryptoml.registry.gate import ChampionDuel, GateDecision, Verdict
    from cryptoml.tracking.journal.journal import JournalRun
    from cryptoml.training.results import ModelResult
    from cryptoml.workflows.training.context import TrainingContext
    from cryptoml.workflows.training.inputs import TrainingData


def ranked(results: Mapping[str, ModelResult]) -> list[str]:
    """Return the models by ascending cv_rmse_mean, without the baseline. The hold-out is not used for selection."""
    found = {key: one.metrics["cv_rmse_mean"] for key, one in results.items() if not one.choice.spec.is_baseline}
    return sorted(found, key=lambda key: (found[key], key))


def best_of(results: Mapping[str, ModelResult]) -> str | None:
    """Return the first of the ranked models; None without a model."""
    return next(iter(ranked(results)), None)


def judge(
    verdict: Verdict,
    metrics: Mapping[str, float],
    reports: Sequence[QualityReport],
    config: Config,
    *,
    champion: ChampionDuel | None = None,
) -> GateDecision:
    """Apply the gate to a run's metrics, the quality of its candles and the duel with the production model."""
    from cryptoml.data.cleaning.gates import check_quality
    from cryptoml.registry.gate import GateInput, GateThresholds, decide

    return decide(
        GateInput(
            verdict=verdict,
            p_value=adjusted_p_value(metrics),
            skill=metrics["skill"],
            shrinkage=metrics["shrinkage"],
            cv_rmse_mean=metrics["cv_rmse_mean"],
            coverage=metrics["interval_coverage"],
            interval_level=config.training.interval_level,
            # The age of the candles is checked when forecasting, not when training.
            data_problems=tuple(
                one.fact
                for report in reports
                for one in check_quality(report, config.quality, age_intervals=None)
                if not one.passed
            ),
            champion=champion,
        ),
        GateThresholds(
            min_skill=config.gate.min_skill,
            min_coverage=config.gate.min_coverage,
            require=config.gate.require,
            level=config.training.significance_level,
        ),
    )


def adjusted_p_value(metrics: Mapping[str, float]) -> float:
    """Return the p-value that decides the verdict."""
    found = stored_value(metrics, "dm_p_value_adjusted")
    assert found is not None
    return found


def request_registration(run: JournalRun, result: ModelResult, data: TrainingData, context: TrainingContext) -> None:
    """Request the registration in the journal; the delivery of the run registers it, now or in a later sync."""
    dataset = data.dataset
    record, _ = run.entry.read()
    description, tags = version_texts(
        RunFacts(
            run_name=run.run_name,
            source=data.names,
            params={
                "symbol": dataset.symbol,
                "interval": dataset.interval.label,
                "prediction_horizon": str(dataset.horizon),
                "start_date": f"{dataset.index[0]:%Y-%m-%d}",
                "end_date": f"{dataset.index[-1]:%Y-%m-%d}",
            },
            metrics=result.metrics,
            tags={
                "model_type": result.choice.spec.key,
                "implementation": result.implementation,
                "verdict": result.verdict.word,
                "training_id": context.training_id,
                "dataset_version": context.dataset_version,
                "git_commit": context.git_commit,
                "author": context.author,
                CONFIG_HASH: context.config.hash(),
                FIT_TAG: fit_of(result),
                **({HORIZONS_TAG: record.tags[HORIZONS_TAG]} if record and HORIZONS_TAG in record.tags else {}),
                # From the journal, as the local files may already be delivered and removed.
                MODEL_SHA256: record.tags[MODEL_SHA256] if record is not None else "",
            },
        )
    )
    pattern = context.config.config.registry.model_name
    run.request_registration(context.model_name, pattern=pattern, description=description, tags=tags)


@dataclass(frozen=True)
class RunFacts:
    """What a version records about its run; params, metrics and tags under their names in the run.

    The tags include the digest of the run's model.
    """

    run_name: str
    source: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def version_texts(run: RunFacts) -> tuple[str, dict[str, str]]:
    """Return the description and the tags of a version, for a training and for `cryptoml register`."""
    from cryptoml.models.zoo import get_model

    params, metrics, tags = run.params, run.metrics, run.tags
    ahead = counted(int(params["prediction_horizon"]), "candle")
    if HORIZONS_TAG in tags:
        ahead = f"{tags[HORIZONS_TAG].replace(',', ', ')} candles"
    description = (
        f"{get_model(tags['model_type']).long_name} ({tags['implementation']}) for {params['symbol']} "
        f"{params['interval']}, {ahead} ahead. Trained on {run.source} "
        f"({params['start_date'][:10]} to {params['end_date'][:10]}, data set {tags['dataset_version']}). "
        f"It {tags['verdict']} persistence: hold-out skill {figure(100 * metrics['skill'], '+.3f', unit=' %')}, "
        f"p {figure(adjusted_p_value(metrics), '.3g')}; cv RMSE {figure(metrics['cv_rmse_mean'], '.6g')}, "
        f"hold-out RMSE {figure(metrics['test_rmse'], '.6g')}. Run {run.run_name}."
    )
    fit = tags.get(FIT_TAG, BEFORE_HOLDOUT)
    if fit == ALL_CANDLES:
        description += " Fitted again on all candles; the metrics are those of the fit before the hold-out."
    return description, {
        **{name: tags[name] for name in ("model_type", "training_id", "dataset_version", "git_commit", "author")},
        **{name: params[name] for name in ("symbol", "interval", "prediction_horizon")},
        "run_name": run.run_name,
        "verdict": tags["verdict"],
        **({CONFIG_HASH: tags[CONFIG_HASH]} if CONFIG_HASH in tags else {}),
        FIT_TAG: fit,
        **({HORIZONS_TAG: tags[HORIZONS_TAG]} if HORIZONS_TAG in tags else {}),
        MODEL_SHA256: tags[MODEL_SHA256],
        "skill": figure(metrics["skill"], ".6f"),
        "cv_rmse_mean": figure(metrics["cv_rmse_mean"], ".10g"),
    }
