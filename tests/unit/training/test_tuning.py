"""The search of parameters: what it tries, what it may see, how it resumes, and how it is scored."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryptoml.data.candles import read_candles
from cryptoml.data.simulation.simulate import simulate
from cryptoml.evaluation.folds import Plan, rows
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.zoo import MODELS
from cryptoml.training import tuning
from cryptoml.training.cross_validate import engine_for, plan_for
from cryptoml.training.dataset import Dataset, build_dataset
from cryptoml.training.results import ModelChoice, TrainingOptions

OPTIONS = TrainingOptions(7, 4.0, "standard", 0.9, 0.05)
PIPELINE = FeaturePipeline(features=("log_return", "return_std"), lag_windows=(1, 2), rolling_windows=(6,))


def dataset_of(folder: Path, *, signal: float = 0.1, candles: int = 2500, seed: int = 3) -> Dataset:
    path = folder / f"SIM_1h_{seed}_{candles}.csv"
    simulate(candles=candles, signal=signal, seed=seed).frame.to_csv(path)
    return build_dataset(read_candles(path), PIPELINE, horizon=1)


def plan_of(dataset: Dataset) -> Plan:
    return plan_for(dataset, ratio=0.8, n_folds=3, gap_candles=None)


def choice_of(key: str) -> ModelChoice:
    spec = MODELS[key]
    return ModelChoice(spec, spec.parameters().model_dump())


def searched(
    folder: Path,
    dataset: Dataset,
    *,
    key: str = "ridge",
    n_trials: int = 9,
    until: float = float("inf"),
    on_trial: Callable[[tuning.TrialScore], None] = lambda _: None,
    name: str = "study",
) -> tuning.Search:
    choice, plan = choice_of(key), plan_of(dataset)
    with (
        engine_for(dataset, OPTIONS) as engine,
        tuning.open_study(folder, name, choice.params, list(choice.spec.space)) as study,
    ):
        return tuning.search(study, choice, dataset, plan, engine, n_trials=n_trials, until=until, seed=1,
                             on_trial=on_trial)  # fmt: skip


def tried(search: tuning.Search) -> list[dict[str, Any]]:
    return [dict(one.params) for one in search.trials]


@pytest.mark.parametrize("key", [key for key, spec in MODELS.items() if spec.space])
def test_each_space_contains_the_defaults_and_valid_values(key: str):
    spec = MODELS[key]
    defaults = spec.parameters().model_dump()
    for name, limits in spec.space.items():
        assert limits.low <= defaults[name] <= limits.high
        for value in (limits.low, limits.high):
            kind = spec.parameters.model_fields[name].annotation
            spec.read({name: int(value) if kind is int else float(value)})


def test_every_model_but_the_baseline_can_be_tuned():
    assert {key for key, spec in MODELS.items() if not spec.space} == {"persistence"}


def test_the_first_trial_has_the_configured_parameters(tmp_path: Path):
    found = searched(tmp_path, dataset_of(tmp_path))
    assert found.default.params == {"alpha": 10_000.0}
    assert found.default.state == "complete"
    assert found.best.skill >= found.default.skill
    assert len({one.params["alpha"] for one in found.trials}) == len(found.trials) == 9


def test_the_search_does_not_depend_on_the_hold_out(tmp_path: Path):
    dataset = dataset_of(tmp_path)
    start = rows(dataset.index, plan_of(dataset).test).start
    features, target = dataset.features.copy(), dataset.target.copy()
    features.iloc[start:] = 1e3
    target[start:] = 9.0
    other = replace(dataset, features=features, target=target)
    assert searched(tmp_path, dataset, name="one").trials == searched(tmp_path, other, name="other").trials


def test_an_interrupted_search_continues_as_if_it_had_not_been(tmp_path: Path):
    dataset, seen = dataset_of(tmp_path), []

    def stop(score: tuning.TrialScore) -> None:
        seen.append(score)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, dataset, on_trial=stop, name="interrupted")
    continued = searched(tmp_path, dataset, name="interrupted")
    assert continued.n_resumed == 4
    assert continued.trials == searched(tmp_path, dataset, name="whole").trials
    again = searched(tmp_path, dataset, name="whole")
    assert (again.n_resumed, len(again.trials)) == (9, 9)


def test_a_trial_that_was_running_when_the_process_died_is_not_counted(tmp_path: Path):
    dataset, choice = dataset_of(tmp_path), choice_of("ridge")
    with tuning.open_study(tmp_path, "study", choice.params, ["alpha"]) as study:
        study.ask(tuning._distributions(choice.spec))
    found = searched(tmp_path, dataset, n_trials=5)
    assert len(found.trials) == 5
    assert found.default.params == {"alpha": 10_000.0}


def test_bad_trials_are_pruned_after_a_fold(tmp_path: Path):
    found = searched(tmp_path, dataset_of(tmp_path, signal=0.3), n_trials=24)
    pruned = [one for one in found.trials if one.state == "pruned"]
    assert pruned
    assert all(one.n_folds < 3 and one.number >= tuning.FULL_TRIALS for one in pruned)
    assert found.best.state == "complete"


def test_it_stops_in_time_but_scores_the_configured_parameters(tmp_path: Path):
    found = searched(tmp_path, dataset_of(tmp_path), n_trials=100, until=time.monotonic() - 1)
    assert len(found.trials) == tuning.BATCH
    assert found.default.params == {"alpha": 10_000.0}


def test_other_rows_or_settings_are_another_study(tmp_path: Path):
    one, other = dataset_of(tmp_path), dataset_of(tmp_path, seed=4)
    spec, settings = MODELS["ridge"], {"seed": 1}
    name = tuning.study_name(spec, one, plan_of(one), settings)
    assert name == tuning.study_name(spec, one, plan_of(one), dict(settings))
    names = {
        name,
        tuning.study_name(spec, other, plan_of(other), settings),
        tuning.study_name(spec, one, plan_for(one, ratio=0.8, n_folds=4, gap_candles=None), settings),
        tuning.study_name(spec, one, plan_of(one), {"seed": 2}),
        tuning.study_name(replace(spec, space={}), one, plan_of(one), settings),
    }
    assert len(names) == 5


def test_the_skill_is_that_of_the_best_scale_between_nothing_and_the_forecast(tmp_path: Path):
    dataset = dataset_of(tmp_path)
    part = slice(0, 500)
    target = dataset.target[part]
    assert tuning.skill_of(dataset, [(part, target)]) == pytest.approx(1)
    assert tuning.skill_of(dataset, [(part, 5 * target)]) == pytest.approx(1)
    assert tuning.skill_of(dataset, [(part, -target)]) == 0
    assert tuning.skill_of(dataset, [(part, np.zeros(500))]) == 0
    # A forecast that is too small is not enlarged.
    assert tuning.skill_of(dataset, [(part, target / 2)]) == pytest.approx(0.75)


def test_the_same_parameters_are_equal_on_the_hold_out(tmp_path: Path):
    dataset, choice = dataset_of(tmp_path), choice_of("ridge")
    with engine_for(dataset, OPTIONS) as engine:
        same = tuning.compare_on_holdout(dataset, plan_of(dataset), choice, choice, OPTIONS, engine)
        weak = tuning.tuned_choice(choice, {"alpha": 1e12})
        worse = tuning.compare_on_holdout(dataset, plan_of(dataset), choice, weak, OPTIONS, engine)
    assert (same.default_skill, same.p_value) == (same.tuned_skill, 1.0)
    assert worse.tuned_skill < worse.default_skill
    assert worse.p_value < 0.05


@pytest.mark.parametrize("works", [0, 1], ids=["the configured parameters fail", "all others fail"])
def test_parameters_that_all_fail_end_the_search(tmp_path: Path, works: int):
    dataset, spec = dataset_of(tmp_path), MODELS["ridge"]

    def fit(params: Any, X: np.ndarray, y: np.ndarray, **more: Any) -> Any:
        if works and params.alpha == spec.parameters().alpha:
            return spec.fit(params, X, y, **more)
        raise ValueError("no fit")

    choice = ModelChoice(replace(spec, fit=fit), spec.parameters().model_dump())
    with (
        engine_for(dataset, OPTIONS) as engine,
        tuning.open_study(tmp_path, "study", choice.params, list(spec.space)) as study,
        pytest.raises(ValueError, match="no fit"),
    ):
        tuning.search(study, choice, dataset, plan_of(dataset), engine, n_trials=9, until=float("inf"), seed=1,
                      on_trial=lambda _: None)  # fmt: skip
    assert sum(trial.state.is_finished() for trial in study.trials) <= 2 * tuning.BATCH
