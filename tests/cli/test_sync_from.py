"""`cryptoml sync --from` as a user has it: from a laptop to DagsHub, where the same commands give the same figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.conftest import Hub, Project
from tests.lab import Lab


def forecast(project: Project, name: str) -> dict[str, Any]:
    done = project.run(
        "predict", "--data", "data/raw/sim.csv", "--set", f"registry.model_name={name}",
        "--set", "prediction.max_age_intervals=100000000", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    return done.json()


def test_from_the_laptop_to_dagshub(lab: Lab, hub: Hub) -> None:
    name = f"moved-{hub.slug.rpartition('-')[2]}"
    model = ("--set", f"registry.model_name={name}", "--set", "gate.min_skill=-1")
    for arguments in (
        ("register", lab.runs["ridge"], "--force", "--reason", "the first"),
        ("promote", "v1", "production", "--force", "--reason", "the first"),
    ):
        done = lab.project.run(*arguments, *model)
        assert done.code == 0, done.err
    expected = forecast(lab.project, name)
    runs = lab.project.run("compare", "--json").json()

    # The team's machine: the project without what it keeps below .cryptoml/.
    for part in ("mlflow.db", "mlflow.db-wal", "mlflow.db-shm"):
        if (lab.project.folder / part).exists():
            shutil.copy(lab.project.folder / part, hub.folder)
    for part in ("mlartifacts", "data"):
        shutil.copytree(lab.project.folder / part, hub.folder / part)
    hub.standin.state.set_mode("legacy")
    planned = hub.run("sync", "--from", "sqlite:///mlflow.db", "--dry-run")
    assert planned.code == 0, planned.err
    assert "would be copied to" in planned.out
    done = hub.run("sync", "--from", "sqlite:///mlflow.db", "--json")
    assert done.code == 0, done.err
    result = done.json()
    assert result["schema"] == "cryptoml.moved/1"
    assert result["tracking_uri"] == f"{hub.url}.mlflow"
    assert {run["run_name"] for run in result["copied"]} >= set(lab.names.values())  # type: ignore[attr-defined]
    assert hub.token not in done.out + done.err

    history = hub.run("promote", "--history", *model, "--json")
    assert history.code == 0, history.out
    assert [entry["to_stage"] for entry in history.json()["entries"]] == ["staging", "production"]  # type: ignore[attr-defined]
    there = forecast(hub, name)
    same = ("forecast_price", "lower_price", "upper_price", "forecast_return")
    assert figures(there, same) == figures(expected, same)
    assert figures(hub.run("compare", "--json").json(), ("rmse",)) == figures(runs, ("rmse",))

    again = hub.run("sync", "--from", "sqlite:///mlflow.db")
    assert again.code == 0, again.err
    assert "nothing to copy: " in again.out
    assert "there already" in again.out


def figures(document: Any, endings: tuple[str, ...]) -> list[str]:
    """Every figure of a document whose name ends so, with all its digits, sorted."""
    found: list[str] = []
    if isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, (int, float)) and key.endswith(endings):
                found.append(f"{key}={value!r}")
            found += figures(value, endings)
    elif isinstance(document, list):
        for value in document:
            found += figures(value, endings)
    assert found or not isinstance(document, dict) or "schema" not in document
    return sorted(found)


def test_options_that_belong_to_from_are_refused_without_it(project: Project) -> None:
    done = project.run("sync", "--dry-run")
    assert done.code == 2
    assert "belong to --from" in done.err
    both = project.run("sync", "--from", "sqlite:///x.db", "--experiment", "a", "--all-experiments")
    assert both.code == 2


def test_a_source_that_does_not_exist_is_named_and_not_made(project: Project) -> None:
    done = project.run("sync", "--from", "sqlite:///old.db", environ={"MLFLOW_TRACKING_URI": "sqlite:///new.db"})
    assert done.code == 2
    assert "old.db: there is no such file" in done.err
    assert sorted(Path(path).name for path in project.folder.iterdir()) == [".cryptoml"]
    assert json.dumps(done.out) == '""'
