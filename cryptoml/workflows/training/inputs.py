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
    from cryptoml.remotes.dvc.dataset_version import DatasetVersion
    from cryptoml.training.dataset import Dataset


@dataclass(frozen=True)
class TrainingData:
    """Candles, the data set built from them, and the version of their file."""

    path: Path
    candles: Candles
    dataset: Dataset
    version: DatasetVersion


def read_training_data(path: Path, config: Config, *, on_event: events.OnEvent) -> TrainingData:
    """Read raw candles or a processed file and build features and target. Raise DataError."""
    from cryptoml.features.library import FEATURES
    from cryptoml.features.pipeline import FeaturePipeline
    from cryptoml.remotes.dvc.dataset_version import dataset_version
    from cryptoml.training.dataset import build_dataset

    candles = read_any(path, config)
    for sentence in candles.report.summary():
        on_event(events.Info(sentence))
    pipeline = FeaturePipeline(
        features=tuple(config.features.include or FEATURES),
        lag_windows=config.features.lag_windows,
        rolling_windows=config.features.rolling_windows,
        interval=candles.interval.label,
    )
    dataset = build_dataset(
        candles,
        pipeline,
        horizon=config.target.prediction_horizon,
        max_no_trade_candles=config.data.max_no_trade_candles,
    )
    on_event(
        events.Info(
            f"{len(dataset.index):,} rows with {len(pipeline.feature_names)} features, "
            f"{dataset.symbol} {dataset.interval.label}, horizon {dataset.horizon}"
        )
    )
    return TrainingData(path, candles, dataset, dataset_version(path))
