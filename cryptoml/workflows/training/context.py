"""Properties shared by all runs of one training."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptoml.config.load import LoadedConfig
from cryptoml.settings import Settings


@dataclass(frozen=True)
class TrainingContext:
    """Properties of one `train` call that are recorded in each of its runs.

    model_name: the registered model of the market, if no other market has that name when the run is delivered.
    """

    training_id: str
    experiment: str
    dataset_version: str
    source: str
    author: str
    git_commit: str
    config: LoadedConfig
    timestamp: str
    model_name: str
    more_tags: Mapping[str, str] = field(default_factory=dict)


def training_context(
    source: str, settings: Settings, config: LoadedConfig, *, dataset_version: str, model_name: str
) -> TrainingContext:
    """Return the context of a new training, with a new training id and the current time."""
    from cryptoml.remotes import git

    now = datetime.now(UTC)
    return TrainingContext(
        training_id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        experiment=settings.experiment_name,
        dataset_version=dataset_version,
        source=source,
        author=settings.author or git.author_name(settings.project_dir),
        git_commit=git.commit_tag(settings.project_dir),
        config=config,
        timestamp=f"{now:%Y%m%d-%H%M%S}",
        model_name=model_name,
        more_tags=settings.run_tags,
    )
