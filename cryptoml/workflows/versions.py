"""List the versions of the registered models of all markets, with the main results of their runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptoml.config.schema import Config
from cryptoml.registry.markets import market_of_tags, names_of
from cryptoml.registry.transitions import stage_of_version
from cryptoml.registry.versions import Version, list_versions
from cryptoml.settings import Settings
from cryptoml.tracking.runs import RunView, search_runs
from cryptoml.tracking.store.project_store import READ, open_project_store

if TYPE_CHECKING:
    from cryptoml.tracking.store.store import Store

# Run IDs in one search.
CHUNK = 100


@dataclass(frozen=True)
class VersionRow:
    """A version and its run. skill, coverage: on the hold-out, shares, NaN if unknown. created: UTC."""

    model_name: str
    version: str
    stage: str
    aliases: tuple[str, ...]
    market: str
    model_type: str
    verdict: str
    skill: float
    coverage: float
    dataset_version: str
    created: datetime
    run_name: str
    run_id: str

    def to_dict(self) -> dict[str, Any]:
        """Return the row for --json."""
        return {**vars(self), "aliases": list(self.aliases), "created": f"{self.created:%Y-%m-%dT%H:%M:%SZ}"}


def versions(settings: Settings, config: Config) -> tuple[VersionRow, ...]:
    """Return the versions of all models that follow `registry.model_name`, newest first within each model."""
    with open_project_store(settings, READ) as store:
        models = names_of(store, config.registry.model_name)
        found = [version for model in models for version in list_versions(store, model.name)]
        runs = {run.run_id: run for run in _runs(store, settings.experiment_name, found)}
    return tuple(_row(version, runs.get(version.run_id)) for version in found)


def _runs(store: Store, experiment: str, found: Sequence[Version]) -> Iterator[RunView]:
    ids = sorted({version.run_id for version in found if version.run_id.isalnum()})
    for start in range(0, len(ids), CHUNK):
        listed = ", ".join(f"'{one}'" for one in ids[start : start + CHUNK])
        yield from search_runs(store, experiment, query=f"attributes.run_id IN ({listed})")


def _row(version: Version, run: RunView | None) -> VersionRow:
    tags: Mapping[str, str] = {**(run.tags if run else {}), **version.tags}
    metrics: Mapping[str, float] = run.metrics if run else {}
    market = market_of_tags(version.tags) or (market_of_tags(run.params) if run else None)
    return VersionRow(
        model_name=version.model_name,
        version=version.version,
        stage=stage_of_version(version.aliases, version.tags),
        aliases=version.aliases,
        market=market.title if market else "",
        model_type=tags.get("model_type", ""),
        verdict=tags.get("verdict", ""),
        skill=metrics.get("skill", math.nan),
        coverage=metrics.get("interval_coverage", math.nan),
        dataset_version=tags.get("dataset_version", ""),
        created=datetime.fromtimestamp(version.created_ms / 1000, UTC),
        run_name=run.name if run else tags.get("run_name", ""),
        run_id=version.run_id,
    )
