"""Audit candles, features, windows and models for leakage: knowledge of the future."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.data.project_files import read_any
from cryptoml.settings import Settings
from cryptoml.workflows.training.inputs import configured_plan
from cryptoml.workflows.training.session import training_options
from cryptoml.workflows.training.train import choose_models

if TYPE_CHECKING:
    from cryptoml.data.candles import Candles
    from cryptoml.training.leakage import Finding

# The newest candles are enough to find a leak, and quick to train on.
MAX_CANDLES = 12_000


@dataclass(frozen=True)
class AuditResult:
    """The findings about a file of candles."""

    source: str
    symbol: str
    interval: str
    horizon: int
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The checks that found a leak."""
        return tuple(finding for finding in self.findings if not finding.passed)

    def to_dict(self) -> dict[str, Any]:
        """The `result` of --json."""
        findings = [{**vars(finding), "columns": list(finding.columns)} for finding in self.findings]
        return {**vars(self), "passed": not self.failed, "findings": findings}


def audit(settings: Settings, config: Config, path: Path, *, on_event: events.OnEvent = events.ignore) -> AuditResult:
    """Run all checks on the newest candles of a file, with the features and models of the config. Raise DataError."""
    from cryptoml.features.pipeline import configured_pipeline
    from cryptoml.models.zoo import BASELINE
    from cryptoml.training import leakage
    from cryptoml.training.dataset import build_dataset

    choices = [one for one in choose_models(config.training.models, config.models) if one.spec.key != BASELINE]
    candles = _newest(read_any(path, config))
    pipeline = configured_pipeline(config.features, candles.interval.label)
    horizon = config.target.prediction_horizon
    dataset = build_dataset(candles, pipeline, horizon=horizon, max_no_trade_candles=config.data.max_no_trade_candles)
    plan = configured_plan(config, dataset)
    findings = []
    for finding in leakage.audit(candles, dataset, plan, choices, training_options(settings, config, choices)):
        on_event(events.Info(f"{finding.check}: {'passed' if finding.passed else 'FAILED'}"))
        findings.append(finding)
    return AuditResult(str(path), dataset.symbol, dataset.interval.label, horizon, tuple(findings))


def _newest(candles: Candles) -> Candles:
    from dataclasses import replace

    return replace(candles, frame=candles.frame.tail(MAX_CANDLES))
