"""Results of a training, and their --json document."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptoml.errors import CryptomlError
from cryptoml.result import Failure

if TYPE_CHECKING:
    from cryptoml.training.results import MarketScore, ModelResult


@dataclass(frozen=True)
class HorizonRow:
    """A model at a further horizon, in candles."""

    horizon: int
    metrics: Mapping[str, float]
    verdict: str


@dataclass(frozen=True)
class ModelRow:
    """One model of a training. If it failed, `metrics` is None and `error` is set."""

    model_type: str
    run_name: str
    status: str
    implementation: str = ""
    run_id: str | None = None
    metrics: Mapping[str, float] | None = None
    verdict: str | None = None
    error: str | None = None
    exit_code: int = 0
    further: tuple[HorizonRow, ...] = ()

    @property
    def is_baseline(self) -> bool:
        """Whether this is the persistence baseline."""
        from cryptoml.models.zoo import BASELINE

        return self.model_type == BASELINE

    def metric(self, name: str) -> float:
        """Return a metric, NaN if it is missing."""
        return (self.metrics or {}).get(name, math.nan)


@dataclass(frozen=True)
class MarketRow:
    """The scores of the best pooled model on one market, on the hold-out; the p-value: on the folds, too."""

    symbol: str
    n_test_samples: int
    skill: float
    directional_accuracy: float
    interval_coverage: float
    dm_p_value_adjusted: float
    verdict: str


@dataclass(frozen=True)
class Registered:
    """A version in the registry."""

    model_name: str
    version: str


@dataclass(frozen=True)
class TrainResult:
    """The outcome of one `train` call. models: in training order, persistence first. trouble: the delivery error.

    alternative: another model that would pass the gate, if the best one did not.
    """

    training_id: str
    experiment: str
    tracking_uri: str
    dataset_version: str
    source: str
    symbol: str
    interval: str
    n_rows: int
    models: tuple[ModelRow, ...]
    best: ModelRow | None
    gate_passed: bool
    gate_reasons: tuple[str, ...]
    gate_warnings: tuple[str, ...]
    model_name: str
    registered: Registered | None
    trouble: CryptomlError | None
    seconds: float
    horizon: int = 1
    alternative: ModelRow | None = None
    markets: tuple[MarketRow, ...] = ()

    @property
    def undelivered(self) -> str | None:
        """Why runs are pending in the journal; None if all were delivered."""
        return self.trouble.fact if self.trouble else None

    def failure(self) -> Failure | None:
        """Return the first of these: a failed model, an unavailable store, a refusal by the gate; or None."""
        if self.trouble and not any(row.error for row in self.models):
            return Failure(self.trouble.exit_code, f"not delivered: {self.trouble.fact}", "cryptoml sync")
        return self.failure_once_delivered()

    def failure_once_delivered(self) -> Failure | None:
        """Return the failure apart from the delivery."""
        failed = [f"{row.model_type}: {row.error}" for row in self.models if row.error]
        if failed:
            code = next(row.exit_code for row in self.models if row.error)
            return Failure(code, f"failed: {'; '.join(failed)}")
        if self.gate_passed:
            return None
        return Failure(6, f"not registered: {' '.join(self.gate_reasons)}", self.register_command or "")

    @property
    def register_command(self) -> str | None:
        """The command that registers the alternative; None if there is none."""
        return f"cryptoml register {self.alternative.run_name}" if self.alternative else None

    def to_dict(self) -> dict[str, Any]:
        """The `result` of --json."""
        best = self.best
        return {
            "training_id": self.training_id,
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "dataset_version": self.dataset_version,
            "best": None
            if best is None
            else {
                "run_id": best.run_id,
                "model_type": best.model_type,
                "cv_rmse_mean": best.metric("cv_rmse_mean"),
                "test_rmse": best.metric("test_rmse"),
                "skill": best.metric("skill"),
                "verdict": best.verdict,
            },
            "registered": self.registered is not None,
            "model_name": self.model_name,
            "version": self.registered.version if self.registered else None,
            # A new version has the stage none until it is promoted.
            "stage": "none" if self.registered else None,
            "gate": {
                "passed": self.gate_passed,
                "reasons": list(self.gate_reasons),
                "warnings": list(self.gate_warnings),
                "alternative": self.alternative.run_name if self.alternative else None,
            },
            "undelivered": self.undelivered,
            "markets": [vars(row) for row in self.markets],
            "models": [
                {
                    **vars(row),
                    "metrics": dict(row.metrics or {}),
                    "further": [{**vars(one), "metrics": dict(one.metrics)} for one in row.further],
                }
                for row in self.models
            ],
        }


def horizon_row(result: ModelResult) -> HorizonRow:
    """Return the scores of a model at a further horizon."""
    return HorizonRow(result.forecaster.horizon, dict(result.metrics), result.verdict.word)


def market_row(score: MarketScore) -> MarketRow:
    """Return the scores of a market with plain numbers."""
    return MarketRow(
        score.symbol,
        score.n_test_samples,
        score.skill,
        score.directional_accuracy,
        score.interval_coverage,
        score.verdict.p_adjusted,
        score.verdict.word,
    )
