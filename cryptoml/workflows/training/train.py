"""Read candles, train the models, track each run, and register the best run if it passes the gate."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.errors import UsageError
from cryptoml.system import stopping
from cryptoml.workflows.training.market import MarketOutcome, MarketTraining
from cryptoml.workflows.training.pool import PoolTraining
from cryptoml.workflows.training.preload import preload
from cryptoml.workflows.training.request import TrainRequest
from cryptoml.workflows.training.results import TrainResult
from cryptoml.workflows.training.schedule import Schedule

if TYPE_CHECKING:
    from cryptoml.tracking.tracker import Tracker
    from cryptoml.training.results import ModelChoice


# Less than stopping.LIMIT_S, to leave time for the cleanup.
STOP_DELIVERY_S = 2.0


def train(request: TrainRequest, *, on_event: events.OnEvent = events.ignore) -> TrainResult:
    """Train, track, and register the best run if it passes the gate.

    A model that fails becomes a FAILED run and the others continue. Runs stay in the journal while the store is
    unavailable. Raise CryptomlError for errors that affect all models, before any run is opened.
    """
    outcomes = train_markets([request], on_event=on_event)
    if len(outcomes) > 1:
        raise UsageError(f"{request.data}: contains {len(outcomes)} markets.", hint="use train_markets")
    return outcomes[0].result()


def train_pool(requests: Sequence[TrainRequest], *, on_event: events.OnEvent = events.ignore) -> TrainResult:
    """Train each model on the markets of all requests together; otherwise like `train`."""
    choices = _checked_choices(requests[0])
    (outcome,) = _train([PoolTraining(requests, choices, on_event=on_event)], choices, on_event)
    return outcome.result()


def train_markets(requests: Sequence[TrainRequest], *, on_event: events.OnEvent = events.ignore) -> list[MarketOutcome]:
    """Run one training per market, with all fits in one queue; all requests have the same settings and models.

    A file that contains several markets becomes several trainings. Return the result of each, or the error that ended
    it. Raise CryptomlError for errors that affect all of them.
    """
    choices = _checked_choices(requests[0])
    several = len(requests) > 1
    return _train(
        [MarketTraining(request, choices, several=several, on_event=on_event) for request in requests],
        choices,
        on_event,
    )


def _checked_choices(request: TrainRequest) -> list[ModelChoice]:
    config = request.config.config
    choices = choose_models(config.training.models, config.models)
    for choice in choices:
        choice.spec.check(choice.spec.read(choice.params))
    return choices


def _train(
    trainings: list[MarketTraining], choices: Sequence[ModelChoice], on_event: events.OnEvent
) -> list[MarketOutcome]:
    from cryptoml.data.reading.tables import require_file
    from cryptoml.registry.registrar import registrar
    from cryptoml.tracking.tracker import Tracker

    files = [file for training in trainings for file in training.files]
    if len(trainings) == 1:
        for file in files:
            require_file(file)
    with ExitStack() as stack:
        for training in trainings:
            training.lock(stack)
        if all(training.error for training in trainings):
            return [training.outcome({}) for training in trainings]
        preload(choices, files)
        # The store is opened in the background while the candles are read and the first models are fitted.
        tracker = stack.enter_context(Tracker(trainings[0].request.settings, registrar=registrar, on_event=on_event))
        with ExitStack() as pools:
            try:
                _run(trainings, tracker, pools, on_event)
            except BaseException as error:
                pools.close()
                sessions = [training.session for training in trainings if training.session is not None]
                if isinstance(error, KeyboardInterrupt) or stopping.is_stopped():
                    killed = [run for session in sessions for run in session.stop("KILLED")]
                    tracker.deliver_stopped(killed, within_s=STOP_DELIVERY_S)
                else:
                    for session in sessions:
                        session.stop("FAILED")
                raise
            delivered = tracker.finish() if any(training.session for training in trainings) else {}
        return [training.outcome(delivered) for training in trainings]


def _run(trainings: list[MarketTraining], tracker: Tracker, pools: ExitStack, on_event: events.OnEvent) -> None:
    """Run trainings in one pool: the next one starts while the last fits of the others are running.

    In `trainings`, a file that contains several markets is replaced by their trainings.
    """
    from cryptoml.training.dask_pool import DaskPool
    from cryptoml.training.pools import Pool, local_pool

    settings = trainings[0].request.settings
    schedule = Schedule()
    # A cluster is checked before the candles are read.
    pool: Pool | None = pools.enter_context(DaskPool(settings.dask_address)) if settings.engine == "dask" else None
    is_checked = False
    waiting = deque(one for one in trainings if not one.error)
    read: dict[tuple[str, str], Path] = {}
    while waiting or len(schedule):
        if waiting and (pool is None or len(schedule) < 2 * pool.n_workers):
            training = waiting.popleft()
            training.read()
            parts = training.split()
            if parts:
                at = trainings.index(training)
                trainings[at : at + 1] = parts
                waiting.extendleft(reversed(parts))
            if training.data is None or training.is_repeated(read):
                continue
            if not is_checked:
                tracker.check()
                is_checked = True
                _warn_of_unknown_commit(settings.project_dir, on_event)
            if pool is None:
                n_rows = len(training.data.dataset.index) * len(trainings)
                pool = pools.enter_context(local_pool(n_rows, workers=settings.workers))
            training.start(tracker, schedule, pool)
        elif len(schedule):
            schedule.run_next()


def choose_models(names: Sequence[str], params: Mapping[str, Mapping[str, object]]) -> list[ModelChoice]:
    """Return the models to train, the baseline first. Raise UsageError for an unknown or repeated name."""
    from cryptoml.models.zoo import BASELINE, get_model
    from cryptoml.training.results import ModelChoice

    specs = [get_model(name.strip()) for name in names if name.strip() != BASELINE]
    keys = [spec.key for spec in specs]
    if len(set(keys)) < len(keys):
        raise UsageError(f"{', '.join(keys)}: duplicate model.", hint="list each model once")
    return [ModelChoice(spec, params[spec.key]) for spec in (get_model(BASELINE), *specs)]


def _warn_of_unknown_commit(folder: Path, on_event: events.OnEvent) -> None:
    from cryptoml.remotes import git

    unsafe = git.ownership_error(folder)
    if unsafe is not None:
        on_event(events.Warned(f"the git_commit of the runs is unknown: {unsafe.fact} Hint: {unsafe.hint}"))
