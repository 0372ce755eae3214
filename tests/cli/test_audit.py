"""`cryptoml audit` on the command line."""

from __future__ import annotations

from tests.lab import Lab


def test_it_lists_each_check_and_finds_no_leak(lab: Lab):
    done = lab.project.run("audit", "--models", "ridge", "--data", lab.data)
    assert done.code == 0, done.err
    for name in ("features", "windows", "fit", "shuffled targets", "reversed targets", "planted features"):
        assert name in done.out
    assert "FAILED" not in done.out
    assert done.out.strip().endswith("no leak was found")


def test_json_lists_the_findings(lab: Lab):
    result = lab.project.run("audit", "--models", "ridge", "--data", lab.data, "--json").json()
    assert result["passed"]
    (planted,) = [one for one in result["findings"] if one["check"] == "planted features"]
    assert planted["columns"] == ["shift(-1)", "centred_window", "scaled_on_everything", "bfill"]


def test_an_unknown_model_is_named(lab: Lab):
    done = lab.project.run("audit", "--models", "rige", "--data", lab.data)
    assert done.code == 2
    assert "ridge" in done.err
