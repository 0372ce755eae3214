"""The training of one model on several markets together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.data.candles import SeveralSymbolsError
from cryptoml.errors import UsageError
from cryptoml.workflows.training.inputs import TrainingData, read_training_data
from cryptoml.workflows.training.lock import only_training
from cryptoml.workflows.training.market import MarketTraining, named, with_symbol, without_profile
from cryptoml.workflows.training.request import TrainRequest

if TYPE_CHECKING:
    from cryptoml.training.results import ModelChoice


class PoolTraining(MarketTraining):
    """One training on the markets of all requests; an error in one file ends it, as the pool would be another one."""

    def __init__(
        self, requests: Sequence[TrainRequest], choices: Sequence[ModelChoice], *, on_event: events.OnEvent
    ) -> None:
        super().__init__(requests[0], choices, several=False, on_event=on_event)
        self.requests = sorted(requests, key=lambda request: str(request.data))

    @property
    def files(self) -> list[Path]:
        """The candle files of all markets."""
        return [request.data for request in self.requests]

    def lock(self, stack: ExitStack) -> None:
        """Hold the locks of all files until the stack is closed."""
        for request in self.requests:
            lock = only_training(
                request.settings, request.data, request.config.config.registry.model_name,
                wait_s=request.wait_s, on_event=self._on_event,
            )  # fmt: skip
            stack.enter_context(lock)

    def _read_data(self, config: Config) -> TrainingData:
        """Read the candles of all markets, and sort their rows by time."""
        from cryptoml.remotes.dvc.dataset_version import DatasetVersion
        from cryptoml.training.pooling import pool_datasets

        parts = [part for request in self.requests for part in self._parts(request)]
        if len(parts) < 2:
            raise UsageError("a pool needs at least two markets.", hint="name more files, or omit --pool")
        dataset = pool_datasets([part.dataset for part in parts])
        ordered = sorted(parts, key=lambda part: part.dataset.symbol)
        digest = hashlib.sha256("\n".join(part.version.sha256 for part in ordered).encode()).hexdigest()
        self._on_event(
            events.Info(f"{len(dataset.index):,} rows of {len(parts)} markets: {', '.join(dataset.symbols)}")
        )
        first = ordered[0]
        further = tuple(pool_datasets([part.further[place] for part in parts]) for place in range(len(first.further)))
        version = DatasetVersion(f"pool:{digest}", digest)
        return TrainingData(first.path, first.candles, dataset, version, tuple(ordered[1:]), further)

    def _parts(self, request: TrainRequest) -> list[TrainingData]:
        """Read a file, or each market of a file that contains several."""
        listen = named(self._on_event, request.label)
        try:
            return [read_training_data(request.data, request.config.config, on_event=listen)]
        except SeveralSymbolsError as error:
            return [part for symbol in error.symbols for part in self._parts(with_symbol(request, symbol))]

    def _config(self) -> Config:
        return without_profile(self.request.config.config)
