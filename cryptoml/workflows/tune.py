"""Tune the parameters of models on the training folds, record the trials, and write a config with the best ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml import events
from cryptoml.config.load import LoadedConfig
from cryptoml.config.schema import Config
from cryptoml.data.project_files import find_data
from cryptoml.errors import CheckFailedError, UnavailableError, UsageError
from cryptoml.models.zoo import BASELINE, MODELS
from cryptoml.settings import Settings
from cryptoml.system.files import locked, translate_os_errors, write_atomically
from cryptoml.training.tuning import HoldoutScore, Search, TrialScore
from cryptoml.workflows.training.environment import NUMERIC_PACKAGES, environment
from cryptoml.workflows.training.inputs import configured_plan, read_training_data
from cryptoml.workflows.training.session import training_options
from cryptoml.workflows.training.train import choose_models
from cryptoml.workflows.tuning_runs import record_searches

if TYPE_CHECKING:
    from cryptoml.training.dataset import Dataset
    from cryptoml.training.engine import Engine
    from cryptoml.training.results import ModelChoice, TrainingOptions

STUDIES = Path(".cryptoml", "tuning")
FIRST_LINE = "# Written by cryptoml tune."


@dataclass(frozen=True)
class TuneRequest:
    """What to tune: the models of the config. n_trials: per model, with those of earlier calls. timeout_s: in all."""

    settings: Settings
    config: LoadedConfig
    data: Path | None
    output: Path
    n_trials: int
    timeout_s: float | None = None


@dataclass(frozen=True)
class TunedModel:
    """A tuned model. params: the best parameters that the search found."""

    model_type: str
    study: str
    search: Search
    params: dict[str, Any]
    holdout: HoldoutScore
    level: float

    @property
    def is_better(self) -> bool:
        """Whether the tuned parameters are better on the hold-out, beyond chance."""
        return self.holdout.tuned_skill > self.holdout.default_skill and self.holdout.p_value < self.level

    @property
    def sentence(self) -> str:
        """What the hold-out says about the tuned parameters."""
        scores = f"skill {self.holdout.tuned_skill:+.3%} against {self.holdout.default_skill:+.3%}"
        p = f"p = {self.holdout.p_value:.2g}"
        if self.search.best is self.search.default:
            return f"{self.model_type}: no trial was better than the configured parameters on the folds; keep them."
        if self.is_better:
            return f"{self.model_type}: the tuned parameters are better on the hold-out: {scores} ({p})."
        if self.holdout.p_value < self.level:
            return (
                f"{self.model_type}: the tuned parameters are worse on the hold-out: {scores} ({p}); keep the others."
            )
        return (
            f"{self.model_type}: on the hold-out, the tuned parameters differ from the configured ones by no more than "
            f"chance: {scores} ({p}); keep the configured ones."
        )

    def to_dict(self) -> dict[str, Any]:
        """The model in the `result` of --json."""
        return {
            "model_type": self.model_type,
            "study": self.study,
            "trials": [vars(one) | {"params": dict(one.params)} for one in self.search.trials],
            "n_resumed": self.search.n_resumed,
            "best_trial": self.search.best.number,
            "params": self.params,
            "folds_skill": self.search.best.skill,
            "default_folds_skill": self.search.default.skill,
            **vars(self.holdout),
            "better": self.is_better,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class TuneResult:
    """The tuned models, and the config file with their parameters. undelivered: why the runs are in the journal."""

    source: str
    symbol: str
    interval: str
    experiment: str
    output: Path
    models: tuple[TunedModel, ...]
    undelivered: str | None

    def to_dict(self) -> dict[str, Any]:
        """The `result` of --json."""
        return {**vars(self), "output": str(self.output), "models": [one.to_dict() for one in self.models]}


def tune(request: TuneRequest, *, on_event: events.OnEvent = events.ignore) -> TuneResult:
    """Search the parameters of each model of the config; a repeated call continues an unfinished search.

    The hold-out is used once, at the end, to compare the best parameters with the configured ones. Raise UsageError
    for a model without a space or an output file that `tune` did not write, DataError for unusable candles.
    """
    from cryptoml.training.cross_validate import engine_in
    from cryptoml.training.pools import local_pool

    settings, config = request.settings, request.config.config
    _check_output(request.output)
    choices = _tunable(config)
    began = time.monotonic()
    data = read_training_data(request.data or find_data(settings.project_dir), config, on_event=on_event)
    dataset = data.dataset
    plan = configured_plan(config, dataset)
    options = training_options(settings, config, choices)
    tuned = []
    with local_pool(len(dataset.index), workers=settings.workers) as pool, engine_in(pool, dataset, options) as engine:
        for place, choice in enumerate(choices):
            # Each model gets an equal share of the time that remains.
            left_s = float("inf") if request.timeout_s is None else began + request.timeout_s - time.monotonic()
            until = time.monotonic() + left_s / (len(choices) - place)
            tuned.append(_tuned(request, choice, dataset, plan, options, engine, until, on_event))
    _write_config(request, tuned)
    experiment = f"{settings.experiment_name}-tuning"
    undelivered = record_searches(
        settings, request.config, data, experiment, {one.model_type: (one.search, one.holdout) for one in tuned},
        on_event=on_event,
    )  # fmt: skip
    return TuneResult(
        source=str(data.path),
        symbol=dataset.symbol,
        interval=dataset.interval.label,
        experiment=experiment,
        output=request.output,
        models=tuple(tuned),
        undelivered=undelivered,
    )


def _tunable(config: Config) -> list[ModelChoice]:
    """Return the models of the config; raise UsageError if one has no space, or if there is only persistence."""
    choices = [one for one in choose_models(config.training.models, config.models) if one.spec.key != BASELINE]
    fixed = [one.spec.key for one in choices if not one.spec.space] if choices else [BASELINE]
    if fixed:
        known = ",".join(key for key, spec in MODELS.items() if spec.space)
        raise UsageError(f"{', '.join(fixed)}: no parameters to tune.", hint=f"--models {known}")
    return choices


def _tuned(
    request: TuneRequest, choice: ModelChoice, dataset: Dataset, plan: Any, options: TrainingOptions, engine: Engine,
    until: float, on_event: events.OnEvent,
) -> TunedModel:  # fmt: skip
    from cryptoml.training import tuning

    key, seed = choice.spec.key, options.seed
    installed = environment()["packages"]
    settings = {
        "params": dict(choice.params),
        "seed": seed,
        "clip": options.clip_sigma,
        "scaling": options.scaling_method,
        "packages": {package: installed.get(package) for package in NUMERIC_PACKAGES},
    }
    name = tuning.study_name(choice.spec, dataset, plan, settings)
    on_event(events.StepStarted(key, request.n_trials))

    def on_trial(score: TrialScore) -> None:
        on_event(events.StepAdvanced(key, f"trial {score.number}: {score.state}, skill {score.skill:+.3%}"))

    began = time.monotonic()
    folder = request.settings.project_dir / STUDIES
    with (
        _only_search(folder, name, key),
        tuning.open_study(folder, name, choice.params, list(choice.spec.space)) as study,
    ):
        found = tuning.search(study, choice, dataset, plan, engine, n_trials=request.n_trials, until=until, seed=seed,
                              on_trial=on_trial)  # fmt: skip
    on_event(events.StepFinished(key, time.monotonic() - began))
    if found.n_resumed:
        on_event(events.Info(f"{key}: {found.n_resumed} trials are of an earlier search, which was continued"))
    best = tuning.tuned_choice(choice, found.best.params)
    holdout = tuning.compare_on_holdout(dataset, plan, choice, best, options, engine)
    return TunedModel(key, name, found, dict(best.params), holdout, options.significance_level)


@contextmanager
def _only_search(folder: Path, name: str, key: str) -> Iterator[None]:
    """Hold the lock of a study. Raise UnavailableError if another process continues the same search."""
    path = folder / f"{name}.lock"
    with translate_os_errors(path):
        folder.mkdir(parents=True, exist_ok=True)

    def busy() -> UnavailableError:
        return UnavailableError(f"{key}: another cryptoml tune runs the same search.", hint="wait for it, or stop it")

    with locked(path, timeout_s=0, busy=busy):
        yield


def _check_output(path: Path) -> None:
    if path.suffix.lower() not in (".yaml", ".yml") or path.is_dir():
        raise UsageError(f"--output {path}: the file name must end with .yaml.", hint="--output configs/tuned.yaml")
    if path.is_file() and not path.read_text(encoding="utf-8", errors="replace").startswith(FIRST_LINE):
        raise CheckFailedError(
            f"{path}: exists, and cryptoml tune did not write it.", hint="--output configs/tuned-2.yaml"
        )


def _write_config(request: TuneRequest, tuned: Sequence[TunedModel]) -> None:
    """Write the whole config in use, with the tuned models and their best parameters."""
    import yaml

    tree = request.config.resolved()
    tree["training"]["models"] = [one.model_type for one in tuned]
    tree["models"] = {**tree["models"], **{one.model_type: one.params for one in tuned}}
    lines = [FIRST_LINE, "# Use it with: cryptoml train --config FILE", *(f"# {one.sentence}" for one in tuned)]
    text = "\n".join(lines) + "\n" + yaml.safe_dump(json.loads(json.dumps(tree)), sort_keys=False)
    with translate_os_errors(request.output):
        request.output.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(request.output, text)
