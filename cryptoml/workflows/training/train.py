"""Read candles, train the models, track each run, and register the best run if it passes the gate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.config.load import LoadedConfig
from cryptoml.errors import UsageError
from cryptoml.settings import Settings
from cryptoml.system import stopping
from cryptoml.workflows.training.context import training_context
from cryptoml.workflows.training.inputs import read_training_data
from cryptoml.workflows.training.lock import only_training
from cryptoml.workflows.training.preload import preload
from cryptoml.workflows.training.results import TrainResult
from cryptoml.workflows.training.session import TrainingSession

if TYPE_CHECKING:
    from cryptoml.training.results import ModelChoice


@dataclass(frozen=True)
class TrainRequest:
    """The data and configuration of a training.

    wait_s: how long to wait for another training of the same output. use_cache: reuse kept fits, and keep new ones.
    """

    data: Path
    settings: Settings
    config: LoadedConfig
    wait_s: float = 0.0
    use_cache: bool = True


def train(request: TrainRequest, *, on_event: events.OnEvent = events.ignore) -> TrainResult:
    """Train, track, and register the best run if it passes the gate.

    A model that fails becomes a FAILED run and the others continue. Runs stay in the journal while the store is
    unavailable. Raise CryptomlError for errors that affect all models, before any run is opened.
    """
    from cryptoml.data.reading.tables import require_file
    from cryptoml.registry.versions import registrar
    from cryptoml.tracking.tracker import Tracker
    from cryptoml.training.cross_validate import plan_for

    began = time.monotonic()
    config = request.config.config
    choices = choose_models(config.training.models, config.models)
    require_file(request.data)
    for choice in choices:
        choice.spec.check(choice.spec.read(choice.params))
    with ExitStack() as stack:
        stack.enter_context(
            only_training(
                request.settings,
                request.data,
                config.registry.model_name,
                wait_s=request.wait_s,
                on_event=on_event,
            )
        )
        preload(choices, request.data)
        # The store is opened in the background while the candles are read and the first models are fitted.
        tracker = stack.enter_context(Tracker(request.settings, registrar=registrar, on_event=on_event))
        data = read_training_data(request.data, config, on_event=on_event)
        plan = plan_for(
            data.dataset,
            ratio=config.split.train_test_split_ratio,
            n_folds=config.split.cross_validation_folds,
            gap_candles=config.split.gap_candles,
        )
        tracker.check()
        _warn_of_unknown_commit(request.settings.project_dir, on_event)
        context = training_context(request.data, request.settings, request.config, dataset_version=data.version.text)
        session = TrainingSession(
            request.settings, data, plan, choices, context, tracker, on_event, use_cache=request.use_cache
        )
        try:
            session.run()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or stopping.is_stopped():
                session.kill()
            else:
                session.fail()
            raise
        return session.result(time.monotonic() - began)


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
