"""No message, table, tag or ledger entry contains "nan"."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from cryptoml.evaluation.figures import cell, figure, only_finite, price
from cryptoml.registry.gate import ChampionDuel, GateInput, decide
from cryptoml.registry.ledger import TAG, Entry, read_ledger
from cryptoml.registry.model_digest import MODEL_SHA256
from cryptoml.result import json_line
from cryptoml.workflows.training.registration import RunFacts, version_texts

NAN_ENTRY = Entry(1, "", "2024-01-01T00:00:00Z", "ada", "h", "1", "none", "staging", "why", metrics={"skill": math.nan})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_shown_as_not_available(value: float) -> None:
    assert figure(value, "+.3f", unit=" %") == "n/a"
    assert cell(value, ".3f") == price(value) == "–"
    assert only_finite({"a": value, "b": 1.0, "c": "nan", "d": 2}) == {"b": 1.0, "c": "nan", "d": 2}


def test_a_finite_figure_has_its_unit() -> None:
    assert figure(-1.5, "+.2f", unit=" %") == "-1.50 %"
    assert price(0.0) == "0"


def test_the_gate_gives_reasons_without_nan() -> None:
    bad = GateInput(
        "ties", math.nan, math.nan, 0.5, math.inf, math.nan, 0.9, champion=ChampionDuel("3", math.nan, 1.0, math.nan)
    )
    for candidate in (bad, replace(bad, verdict="worse"), replace(bad, skill=-math.inf)):
        decision = decide(candidate)
        assert not decision.passed
        said = " ".join((*decision.reasons, *decision.warnings))
        assert "nan" not in said
        assert "inf" not in said.replace("finite", "")


def test_an_old_entry_with_nan_still_verifies() -> None:
    ledger = read_ledger({f"{TAG}000001": NAN_ENTRY.to_json()})
    assert ledger.faults == ()
    assert math.isnan(float(ledger.entries[0].metrics["skill"]))


def test_a_version_is_described_without_nan() -> None:
    names = ("symbol", "interval", "prediction_horizon", "start_date", "end_date")
    kept = ("implementation", "verdict", "training_id", "dataset_version", "git_commit", "author", MODEL_SHA256)
    tags = dict.fromkeys(kept, "x")
    metrics = dict.fromkeys(("skill", "dm_p_value", "cv_rmse_mean", "test_rmse"), math.nan)
    run = RunFacts("r", "a.csv", dict.fromkeys(names, "1"), metrics, {**tags, "model_type": "ridge"})
    description, written = version_texts(run)
    assert "nan" not in description
    assert "nan" not in written.values()


def test_values_that_are_not_finite_are_null_in_json() -> None:
    line = json_line("cryptoml/1", result={"entries": [vars(NAN_ENTRY)], "pair": (math.inf, 1.0)})
    found = json.loads(line)["result"]
    assert found["entries"][0]["metrics"] == {"skill": None}
    assert found["pair"] == [None, 1.0]
