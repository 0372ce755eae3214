"""Results of copying a store, and their JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptoml.errors import CryptomlError


@dataclass(frozen=True)
class MovedRun:
    """A copied run; in a dry run, run_id is empty. metrics: number of values; size: bytes of its artifacts."""

    source_run_id: str
    run_id: str
    run_name: str
    experiment: str
    status: str
    metrics: int
    artifacts: int
    size: int


@dataclass(frozen=True)
class MovedModel:
    """A copied registered model. versions: source number -> target number of the added versions; empty in a dry run.

    there: number of versions that the target already had; ledger: moved, aside (stored under other tags), unchanged
    or none; notes: sentences about differences; lost: sentences about what could not be copied.
    """

    name: str
    versions: Mapping[str, str]
    there: int
    aliases: Mapping[str, str]
    ledger: str
    ledger_entries: int
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class MoveResult:
    """The result of `move_store`.

    there: number of runs that the target already had; skipped: sentences about skipped runs; without_artifacts: names
    of runs whose artifacts the source has lost; error: the first error that stopped the copy or skipped a run.
    """

    source: str
    tracking_uri: str
    dry_run: bool
    experiments: tuple[str, ...]
    runs: tuple[MovedRun, ...]
    there: int
    skipped: tuple[str, ...]
    without_artifacts: tuple[str, ...]
    models: tuple[MovedModel, ...]
    error: CryptomlError | None

    @property
    def lost(self) -> tuple[str, ...]:
        """Sentences about versions that could not be copied, of all models."""
        return tuple(sentence for model in self.models for sentence in model.lost)

    @property
    def exit_code(self) -> int:
        """The error's exit code; 6 if artifacts or versions could not be copied; else 0."""
        if self.error is not None:
            return self.error.exit_code
        return 6 if self.without_artifacts or self.lost else 0

    def totals(self) -> dict[str, int]:
        """Return counts of copied items; `bytes` is the size of the artifacts."""
        return {
            "runs": len(self.runs),
            "metrics": sum(run.metrics for run in self.runs),
            "artifacts": sum(run.artifacts for run in self.runs),
            "bytes": sum(run.size for run in self.runs),
            "versions": sum(len(model.versions) for model in self.models),
            "aliases": sum(len(model.aliases) for model in self.models),
            "ledger_entries": sum(model.ledger_entries for model in self.models if model.ledger != "unchanged"),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the `result` of --json."""
        return {
            "source": self.source,
            "tracking_uri": self.tracking_uri,
            "dry_run": self.dry_run,
            "experiments": list(self.experiments),
            **self.totals(),
            "runs_there": self.there,
            "versions_there": sum(model.there for model in self.models),
            "copied": [vars(run) for run in self.runs],
            "models": [
                {**vars(model), "versions": dict(model.versions), "aliases": dict(model.aliases)}
                for model in self.models
            ],
            "skipped": list(self.skipped),
            "without_artifacts": list(self.without_artifacts),
        }
