"""Order, best values and comparability of runs, checked by hand."""

from __future__ import annotations

import json
import math

import pytest

from cryptoml.evaluation.comparison import (
    ComparedRun,
    RunComparison,
    best_of,
    comparability_key,
    difference,
    differing_params,
    most_common_key,
    ranked,
)
from cryptoml.evaluation.metrics import METRICS, stored_metrics
from cryptoml.evaluation.point_metrics import skill_score
from cryptoml.result import json_line


def run(
    name: str, *, baseline: bool = False, comparable: bool = True, level: str = "0.9", **metrics: float
) -> ComparedRun:
    return ComparedRun(name, name, "FINISHED", 0, {"interval_level": level}, metrics, {}, baseline, comparable)


def names(rows: list[ComparedRun]) -> list[str]:
    return [row.name for row in rows]


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("cv_mae_mean", ["low", "middle", "high"]),
        ("cv_r2_score_mean", ["high", "middle", "low"]),
        ("cv_r2_score_std", ["low", "middle", "high"]),
        ("n_features", ["low", "middle", "high"]),
        # Best is nearest to the level that the intervals were made for, 0.9.
        ("interval_coverage", ["middle", "high", "low"]),
    ],
)
def test_each_metric_has_its_direction(metric: str, order: list[str]) -> None:
    values = {"low": 0.7, "high": 1.0, "middle": 0.88}
    rows = [run(name, **{metric: value}) for name, value in values.items()]
    assert names(ranked(rows, metric)) == order
    expected = {} if metric == "n_features" else {metric: frozenset({order[0]})}
    assert best_of(rows) == expected


def test_the_nominal_value_is_a_parameter_of_the_run() -> None:
    rows = [run("wide", level="0.9", interval_coverage=0.8), run("narrow", level="0.7", interval_coverage=0.72)]
    assert names(ranked(rows, "interval_coverage")) == ["narrow", "wide"]


def test_order_is_persistence_comparable_runs_others_runs_without_a_value() -> None:
    rows = [
        run("nan", skill=math.nan), run("apart", comparable=False, skill=0.9), run("worse", skill=-0.1),
        run("better", skill=0.1), run("none"), run("persistence", baseline=True, skill=0.0),
    ]  # fmt: skip
    assert names(ranked(rows, "skill")) == ["persistence", "better", "worse", "apart", "nan", "none"]
    assert best_of(rows) == {"skill": frozenset({"better"})}


@pytest.mark.parametrize("metric", stored_metrics())
def test_every_stored_metric_can_be_sorted_by(metric: str) -> None:
    rows = [run("one", **{metric: 0.2}), run("two", **{metric: 0.3})]
    assert sorted(names(ranked(rows, metric))) == ["one", "two"]


def test_runs_on_other_data_are_not_comparable() -> None:
    keys = [comparability_key({"symbol": symbol}, {"dataset_version": "d"}) for symbol in ("A", "B", "B")]
    assert most_common_key(keys) == keys[1]
    assert most_common_key(keys[:2]) == keys[0]
    assert difference(keys) == "symbol: A (1), B (2)"


def test_only_parameters_with_different_values_are_listed() -> None:
    rows = [run("a", level="0.9"), run("b", level="0.8"), run("c", level="0.9")]
    assert differing_params(rows) == {"interval_level": {"a": "0.9", "b": "0.8", "c": "0.9"}}
    assert differing_params(rows[::2]) == {}


def test_values_that_are_not_finite_are_null_in_the_document() -> None:
    rows = (run("a", skill=math.nan, test_rmse=math.inf, test_mae=1.5),)
    done = RunComparison("e", "sqlite:", "skill", rows, {}, {}, (), 0.05, ())
    document = json.loads(json_line("cryptoml.compare/1", result=done.to_dict()))
    assert document["result"]["runs"][0]["metrics"] == {"skill": None, "test_rmse": None, "test_mae": 1.5}


def test_persistence_has_no_skill_value() -> None:
    skill = stored_metrics()["skill"]
    assert run("p", baseline=True, skill=0.0).value(skill) is None
    assert run("m", skill=0.5).value(skill) == 0.5


@pytest.mark.parametrize(("error", "baseline", "expected"), [(1.0, 2.0, 0.5), (2.0, 1.0, -1.0), (0.0, 2.0, 1.0)])
def test_skill_by_hand(error: float, baseline: float, expected: float) -> None:
    assert skill_score(error, baseline) == expected


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_skill_is_undefined_for_a_baseline_without_error(error: float) -> None:
    assert math.isnan(skill_score(error, 0.0))
    assert METRICS["skill"].text(skill_score(error, 0.0)) == "–"
