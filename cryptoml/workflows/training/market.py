"""The training of one market, from its file to its outcome; an error ends it and no other training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.data.candles import SeveralSymbolsError
from cryptoml.errors import CryptomlError, UsageError
from cryptoml.registry.markets import Market, planned_name
from cryptoml.system import stopping
from cryptoml.workflows.training.context import training_context
from cryptoml.workflows.training.inputs import TrainingData, configured_plan, read_training_data
from cryptoml.workflows.training.lock import only_training
from cryptoml.workflows.training.request import TrainRequest
from cryptoml.workflows.training.results import TrainResult
from cryptoml.workflows.training.session import TrainingSession

if TYPE_CHECKING:
    from cryptoml.tracking.journal.deliver import Delivered
    from cryptoml.tracking.tracker import Tracker
    from cryptoml.training.dataset import Dataset
    from cryptoml.training.pools import Pool
    from cryptoml.training.results import ModelChoice
    from cryptoml.workflows.training.schedule import Schedule


@dataclass(frozen=True)
class MarketOutcome:
    """The result of one training, or the error that ended it."""

    request: TrainRequest
    training: TrainResult | None
    error: Exception | None = None

    def result(self) -> TrainResult:
        """Return the result, or raise the error."""
        if self.training is None:
            assert self.error is not None
            raise self.error
        return self.training


class MarketTraining:
    """One training; its messages name the market if there are several."""

    def __init__(
        self, request: TrainRequest, choices: Sequence[ModelChoice], *, several: bool, on_event: events.OnEvent
    ) -> None:
        self.request = request
        self.error: Exception | None = None
        self.session: TrainingSession | None = None
        self.data: TrainingData | None = None
        self._choices, self._several = choices, several
        self._given_on_event = on_event
        self._on_event = named(on_event, request.label) if several else on_event

    @property
    def files(self) -> list[Path]:
        """The candle files."""
        return [self.request.data]

    def lock(self, stack: ExitStack) -> None:
        """Hold the lock of this training until the stack is closed."""
        request = self.request
        lock = only_training(
            request.settings, request.data, request.config.config.registry.model_name,
            wait_s=request.wait_s, on_event=self._on_event,
        )  # fmt: skip
        try:
            stack.enter_context(lock)
        except CryptomlError as error:
            self.fail(error)

    def read(self) -> None:
        """Read the candles and divide them into folds and hold-out."""
        config = self.request.config.config
        try:
            data = self._read_data(config)
            self._plans = [configured_plan(config, dataset) for dataset in data.datasets]
            self.data = data
        except Exception as error:  # noqa: BLE001 - the other trainings continue
            self.fail(error)

    def _read_data(self, config: Config) -> TrainingData:
        return read_training_data(self.request.data, config, on_event=self._on_event)

    def is_repeated(self, read: dict[tuple[str, str], Path]) -> bool:
        """Fail if the same market was read from another file; read: (symbol, interval) -> file, extended here."""
        assert self.data is not None
        dataset = self.data.dataset
        market = (dataset.symbol, dataset.interval.label)
        other = read.setdefault(market, self.request.data)
        if other == self.request.data:
            return False
        fact = f"{self.request.data}: these are candles of {' '.join(market)}, as in {other}."
        self.fail(UsageError(fact, hint="train one of the files, or put the symbol into the names of the files"))
        return True

    def start(self, tracker: Tracker, schedule: Schedule, pool: Pool) -> None:
        """Open the runs and start the fits."""
        assert self.data is not None
        request = self.request
        self._tracker = tracker
        self.session = TrainingSession(
            request.settings, self.data, self._plans, self._choices,
            training_context(
                self.data.sources, request.settings, request.config,
                dataset_version=self.data.version.text, model_name=self._model_name(self.data.dataset),
            ),
            self._config(), tracker, schedule, self._on_event, self.fail, use_cache=request.use_cache,
        )  # fmt: skip
        # The session has the rows until its end.
        self.data = None
        try:
            self.session.start(pool)
        except Exception as error:  # noqa: BLE001 - the other trainings continue
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """End this training with an error; its open runs become FAILED. A stopped command ends as a whole."""
        if stopping.is_stopped():
            raise error
        self.error = error
        if self.session is not None:
            for run in self.session.stop("FAILED"):
                self._tracker.deliver(run)
        if self._several and not isinstance(error, SeveralSymbolsError):
            self._on_event(events.Warned(str(error)))

    def split(self) -> list[MarketTraining]:
        """Return a training for each market of a file that contains several; none if that is not the error."""
        if not isinstance(self.error, SeveralSymbolsError):
            return []
        requests = [with_symbol(self.request, symbol) for symbol in self.error.symbols]
        return [
            MarketTraining(request, self._choices, several=True, on_event=self._given_on_event) for request in requests
        ]

    def outcome(self, delivered: Mapping[str, Delivered]) -> MarketOutcome:
        """Return the result or the error."""
        if self.error is not None:
            return MarketOutcome(self.request, None, self.error)
        assert self.session is not None
        self.session.hand_over_profile()
        return MarketOutcome(self.request, self.session.result(delivered))

    def _model_name(self, dataset: Dataset) -> str:
        """Return the registered model of this market, unless the registry has another one for it."""
        market = Market(dataset.symbol, dataset.interval.label, dataset.horizon)
        pattern = self.request.config.config.registry.model_name
        return planned_name(pattern, market, among_several=self._several or bool(dataset.symbols))

    def _config(self) -> Config:
        """Return the config; without profile report if there are several markets."""
        config = self.request.config.config
        return without_profile(config) if self._several else config


def named(on_event: events.OnEvent, name: str) -> events.OnEvent:
    """Return a listener that adds a market's name to its events."""

    def listen(event: events.Event) -> None:
        match event:
            case events.Info(text) | events.Warned(text):
                on_event(replace(event, text=f"{name}: {text}"))
            case events.StepStarted(step) | events.StepAdvanced(step) | events.StepFinished(step):
                on_event(replace(event, step=f"{name} {step}"))
            case _:
                on_event(event)

    return listen


def without_profile(config: Config) -> Config:
    """Return the config without profile report: a report describes the candles of a single market."""
    return config.model_copy(update={"tracking": config.tracking.model_copy(update={"profile_report": False})})


def with_symbol(request: TrainRequest, symbol: str) -> TrainRequest:
    """Return the request for one market of a file that contains several."""
    config = request.config.config
    chosen = config.model_copy(update={"data": config.data.model_copy(update={"symbol": symbol})})
    return replace(request, config=replace(request.config, config=chosen))
