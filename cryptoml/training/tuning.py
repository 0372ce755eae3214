"""Searches the parameters of a model with Optuna on the training folds, and scores the best on the hold-out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.evaluation.folds import Plan, rows
from cryptoml.evaluation.shrinkage import slope_and_error
from cryptoml.evaluation.significance import diebold_mariano
from cryptoml.models.base import Model
from cryptoml.training.cross_validate import train_models
from cryptoml.training.engine import Engine
from cryptoml.training.fit_task import FitTask
from cryptoml.training.results import ModelChoice, ModelResult, TrainingOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

    from cryptoml.training.dataset import Dataset

    Parts = Sequence[tuple[slice, NDArray[np.float64]]]

# Trials that are asked for together; the search does not depend on the number of workers.
BATCH = 4
# Trials that are never pruned.
FULL_TRIALS = 5


@dataclass(frozen=True)
class TrialScore:
    """A trial. skill: on its folds, as `skill_of`. state: complete, pruned after `n_folds` folds, or failed."""

    number: int
    params: Mapping[str, float | int]
    skill: float
    state: str
    n_folds: int


@dataclass(frozen=True)
class Search:
    """The trials of a model: the first one has the configured parameters. n_resumed: from an earlier call."""

    trials: tuple[TrialScore, ...]
    n_resumed: int

    @property
    def best(self) -> TrialScore:
        """The complete trial with the highest skill; of equals, the first."""
        return max((one for one in self.trials if one.state == "complete"), key=lambda one: (one.skill, -one.number))

    @property
    def default(self) -> TrialScore:
        """The trial of the configured parameters."""
        return self.trials[0]


@dataclass(frozen=True)
class HoldoutScore:
    """Configured and tuned parameters on the hold-out, which the search has not used.

    default_skill, tuned_skill: against persistence. p_value: of the two-sided test of Diebold and Mariano between both.
    """

    default_skill: float
    tuned_skill: float
    p_value: float


def study_name(spec: Model[Any], dataset: Dataset, plan: Plan, settings: Mapping[str, object]) -> str:
    """Return a name that differs if the rows, the folds, the space or the settings of the search do.

    settings: what else a score depends on, such as the configured parameters and the seed.
    """
    digest = hashlib.sha256()
    digest.update(dataset.features.to_numpy().tobytes())
    digest.update(dataset.target.tobytes())
    windows = [(str(fold.train), str(fold.validation)) for fold in plan.folds]
    space = {name: vars(limits) for name, limits in spec.space.items()}
    digest.update(json.dumps([windows, space, settings], sort_keys=True, default=str).encode())
    return f"{spec.key}-{digest.hexdigest()[:12]}"


@contextmanager
def open_study(folder: Path, name: str, default: Mapping[str, object], space: Sequence[str]) -> Iterator[Study]:
    """Yield the study of that name, kept in a file of `folder`; trials that were interrupted count as failed."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(folder / f"{name}.log")))
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=FULL_TRIALS, n_warmup_steps=1),
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    if not _scored(study) and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.enqueue_trial({key: default[key] for key in space})
    yield study


def search(
    study: Study,
    choice: ModelChoice,
    dataset: Dataset,
    plan: Plan,
    engine: Engine,
    *,
    n_trials: int,
    until: float,
    seed: int,
    on_trial: Callable[[TrialScore], None],
) -> Search:
    """Try parameters until the study has `n_trials` scored trials, or until that time of `time.monotonic`.

    Trials run fold by fold, oldest fold first, and are pruned if they are worse than the median of the others. The
    first batch is finished in any case. Only rows of the folds are used.
    """
    from optuna.samplers import TPESampler

    n_resumed = len(_scored(study))
    distributions = _distributions(choice.spec)
    while (n_scored := len(_scored(study))) < n_trials:
        if n_scored and time.monotonic() >= until:
            break
        # A resumed study continues like one that was never interrupted.
        study.sampler = TPESampler(seed=seed + n_scored, multivariate=True, constant_liar=True)
        batch = [study.ask(distributions) for _ in range(min(BATCH, n_trials - n_scored))]
        _run_batch(study, batch, choice, dataset, plan, engine)
        for trial in batch:
            on_trial(_score(study.trials[trial.number]))
    return Search(tuple(_score(trial) for trial in _scored(study)), n_resumed)


def skill_of(dataset: Dataset, parts: Parts) -> float:
    """Return the reduction of the mean squared error of returns relative to persistence.

    parts: rows and raw forecasts of folds. Forecasts are multiplied by the slope of the outcome on them, clipped to
    [0, 1], as a search would otherwise prefer small forecasts to good ones.
    """
    import numpy as np

    target = np.concatenate([dataset.target[part] for part, _ in parts])
    forecast = np.concatenate([raw for _, raw in parts])
    slope = min(max(slope_and_error(target, forecast, 1)[0], 0.0), 1.0)
    return 1 - float(np.mean((target - slope * forecast) ** 2) / np.mean(target**2))


def compare_on_holdout(
    dataset: Dataset, plan: Plan, default: ModelChoice, tuned: ModelChoice, options: TrainingOptions, engine: Engine
) -> HoldoutScore:
    """Train with both parameters and compare the forecasts of the hold-out."""
    results = []
    for choice in (default, tuned):
        (result,) = train_models(dataset, plan, [choice], options, engine)
        if not isinstance(result, ModelResult):
            raise result.error
        results.append(result)
    losses = []
    for result in results:
        holdout = result.predictions[result.predictions["part"] == "holdout"]
        losses.append(((holdout["actual_return"] - holdout["forecast_return"]) ** 2).to_numpy())
    test = diebold_mariano(losses[1], losses[0], dataset.horizon)
    return HoldoutScore(results[0].metrics["skill"], results[1].metrics["skill"], test.p_value)


def tuned_choice(choice: ModelChoice, params: Mapping[str, float | int]) -> ModelChoice:
    """Return the choice with other parameters; the ones that are not tuned stay."""
    return ModelChoice(choice.spec, {**choice.params, **params})


def _run_batch(
    study: Study, batch: Sequence[Trial], choice: ModelChoice, dataset: Dataset, plan: Plan, engine: Engine
) -> None:
    from optuna.trial import TrialState

    parts: dict[int, list[tuple[slice, NDArray[np.float64]]]] = {trial.number: [] for trial in batch}
    running = list(batch)
    for fold in plan.folds:
        train, validation = rows(dataset.index, fold.train), rows(dataset.index, fold.validation)
        futures = [
            engine.start_fit(FitTask(tuned_choice(choice, trial.params), fold.number, train, validation))
            for trial in running
        ]
        for trial, future in zip(list(running), futures, strict=True):
            future.exception()
            fit = engine.fit_of(future)
            if isinstance(fit, Exception):
                running.remove(trial)
                study.tell(trial, state=TrialState.FAIL)
                if _is_configured(trial, choice) or not running:
                    # Nothing can be compared without the configured parameters; or all trials fail.
                    raise fit
                continue
            parts[trial.number].append((validation, fit.raw_return))
            trial.report(skill_of(dataset, parts[trial.number]), fold.number)
            if fold is not plan.folds[-1] and not _is_configured(trial, choice) and trial.should_prune():
                running.remove(trial)
                study.tell(trial, state=TrialState.PRUNED)
    for trial in running:
        study.tell(trial, skill_of(dataset, parts[trial.number]))


def _is_configured(trial: Trial, choice: ModelChoice) -> bool:
    return all(choice.params[name] == value for name, value in trial.params.items())


def _distributions(spec: Model[Any]) -> dict[str, BaseDistribution]:
    from optuna.distributions import FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name, limits in spec.space.items():
        if spec.parameters.model_fields[name].annotation is int:
            found[name] = IntDistribution(int(limits.low), int(limits.high), log=limits.log)
        else:
            found[name] = FloatDistribution(limits.low, limits.high, log=limits.log)
    return found


def _scored(study: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _score(trial: FrozenTrial) -> TrialScore:
    values = trial.intermediate_values
    skill = trial.value if trial.value is not None else values[max(values)] if values else float("nan")
    state = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed")
    return TrialScore(trial.number, dict(trial.params), skill, state, len(values))
