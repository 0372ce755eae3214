"""Read the inputs of a training: candles, their version, and the data set built from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.data.project_files import read_any

if TYPE_CHECKING:
    from cryptoml.data.candles import Candles
    from cryptoml.data.cleaning.quality import QualityReport
    from cryptoml.evaluation.folds import Plan
    from cryptoml.remotes.dvc.dataset_version import DatasetVersion
    from cryptoml.training.dataset import Dataset


@dataclass(frozen=True)
class TrainingData:
    """Candles, the data set built from them, and the version of their file.

    In a pool of markets: of the first market, with the data set and the version of all of them; others: the others.
    further: the data sets of the further horizons.
    """

    path: Path
    candles: Candles
    dataset: Dataset
    version: DatasetVersion
    others: tuple[TrainingData, ...] = ()
    further: tuple[Dataset, ...] = ()

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The data sets of all horizons, the main one first."""
        return (self.dataset, *self.further)

    @property
    def reports(self) -> tuple[QualityReport, ...]:
        """The quality reports of all files."""
        return (self.candles.report, *(other.candles.report for other in self.others))

    @property
    def sources(self) -> str:
        """The files, as in `shortened_list`."""
        return shortened_list([str(self.path), *(str(other.path) for other in self.others)])

    @property
    def names(self) -> str:
        """The names of the files, as in `shortened_list`."""
        return shortened_list([self.path.name, *(other.path.name for other in self.others)])


def read_training_data(path: Path, config: Config, *, on_event: events.OnEvent) -> TrainingData:
    """Read raw candles or a processed file and build features and target. Raise DataError."""
    from cryptoml.features.pipeline import configured_pipeline
    from cryptoml.remotes.dvc.dataset_version import dataset_version
    from cryptoml.training.cross_validate import check_length
    from cryptoml.training.dataset import build_dataset
    from cryptoml.training.leakage import quick_audit
    from cryptoml.training.row_costs import row_costs

    candles = read_any(path, config)
    for sentence in candles.report.summary():
        on_event(events.Info(sentence))
    pipeline = configured_pipeline(config.features, candles.interval.label)
    check_length(
        candles.report.source, len(candles.frame), pipeline,
        horizon=max(config.target.prediction_horizon, *config.target.further_horizons, 0),
        ratio=config.split.train_test_split_ratio, n_folds=config.split.cross_validation_folds,
        gap_candles=config.split.gap_candles,
    )  # fmt: skip
    dataset, *further = (
        build_dataset(candles, pipeline, horizon=horizon, max_no_trade_candles=config.data.max_no_trade_candles)
        for horizon in (config.target.prediction_horizon, *config.target.further_horizons)
    )
    quick_audit(candles, pipeline, dataset)
    horizons = ", ".join(str(one.horizon) for one in (dataset, *further))
    on_event(
        events.Info(
            f"{len(dataset.index):,} rows with {len(pipeline.feature_names)} features, "
            f"{dataset.symbol} {dataset.interval.label}, {'horizons' if further else 'horizon'} {horizons}"
        )
    )
    costs = row_costs(candles, pipeline, horizon=dataset.horizon, max_no_trade=dataset.max_no_trade_candles)
    for sentence in costs.lines():
        on_event(events.Info(sentence))
    return TrainingData(path, candles, dataset, dataset_version(path), further=tuple(further))


def configured_plan(config: Config, dataset: Dataset) -> Plan:
    """Return the hold-out and the folds of a config. Raise DataError if there are too few candles."""
    from cryptoml.training.cross_validate import plan_for

    return plan_for(
        dataset,
        ratio=config.split.train_test_split_ratio,
        n_folds=config.split.cross_validation_folds,
        gap_candles=config.split.gap_candles,
    )


def shortened_list(paths: list[str]) -> str:
    """Return the paths, separated by commas; of more than three, the first two and the number of the others."""
    return ", ".join(paths if len(paths) <= 3 else [*paths[:2], f"{len(paths) - 2} others"])
