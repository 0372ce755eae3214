"""`versions` and `show`: the list of versions and the card of one, on the terminal and as an HTML page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Project, make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = make_project(tmp_path_factory.mktemp("card"))
    done = made.run("sample-data", "--years", "0.5", "--signal", "0.2", "--seed", "4", "-o", "data/raw/sim.csv")
    assert done.code == 0, done.err
    trained = made.run(
        "train", "--models", "ridge", "--set", "tracking.profile_report=false", "--set", "gate.min_skill=-1"
    )
    assert trained.code == 0, trained.err
    done = made.run("promote", "latest", "production", "--reason", "<b>the first</b>")
    assert done.code == 0, done.err
    return made


def test_versions_shows_stage_market_and_scores(project: Project):
    done = project.run("versions")
    assert done.code == 0, done.err
    assert re.search(r"v1 +production +SIM 1h, 1 ahead +ridge", done.out)
    (row,) = project.run("versions", "--json").json()["versions"]
    assert (row["model_name"], row["version"], row["stage"]) == ("crypto-price-predictor", "1", "production")
    assert row["aliases"] == ["production"]
    assert 0.5 < row["coverage"] < 1


def test_versions_of_an_empty_project(tmp_path: Path):
    done = make_project(tmp_path).run("versions")
    assert (done.code, done.out) == (2, "")
    assert "the tracking store does not exist yet" in done.err


def test_the_card_has_the_results_with_their_errors(project: Project):
    card = project.run("show", "--json").json()
    assert (card["version"], card["stage"], card["gate"]) == ("1", "production", "passed")
    (row,) = project.run("versions", "--json").json()["versions"]
    assert card["figures"]["skill"]["value"] == row["skill"]
    assert 0 < card["figures"]["skill"]["standard_error"] < 0.1
    coverage = card["figures"]["interval_coverage"]
    n = card["figures"]["n_test_samples"]["value"]
    expected = (coverage["value"] * (1 - coverage["value"]) / n) ** 0.5
    assert coverage["standard_error"] == pytest.approx(expected, rel=0.01)
    assert [(entry["from_stage"], entry["to_stage"]) for entry in card["ledger"]] == [
        ("none", "staging"), ("staging", "production"),
    ]  # fmt: skip
    assert card["model_uri"] == "models:/crypto-price-predictor/1"
    shown = project.run("show", "v1")
    for part in ("crypto-price-predictor v1", "SIM 1h, 1 ahead, production", "skill %", "transitions", "gate: passed"):
        assert part in shown.out


def test_the_page_is_whole_escaped_and_needs_no_network(project: Project, tmp_path: Path):
    path = tmp_path / "new" / "card.html"
    done = project.run("show", "v1", "--html", str(path))
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == str(path)
    page = path.read_text()
    for title in ("Description", "Data", "Results", "Plots", "Folds", "Gate", "Ledger", "Parameters"):
        assert f"<h2>{title}</h2>" in page
    assert "&lt;b&gt;the first&lt;/b&gt;" in page
    assert "<b>" not in page
    assert page.count("<img ") >= 4
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert path.stat().st_size < 1_000_000


def test_what_is_no_version_is_refused(project: Project, tmp_path: Path):
    assert project.run("show", "v9").code == 2
    done = project.run("show", "ridge")
    assert (done.code, "is not a version" in done.err) == (2, True)
    done = project.run("show", "--html", str(tmp_path / "card.txt"))
    assert (done.code, "must end with .html" in done.err) == (2, True)
