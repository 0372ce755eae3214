"""What the DAG files come to, read by Airflow's own Python without any service."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.instance import AIRFLOW_BIN, DAGS
from tests.conftest import clean_environ

FACTS = Path(__file__).with_name("facts.py")
ORDER = ["extract_data", "transform_data", "version_data", "train_model"]


def facts_of(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Import the DAG files with these options; what they come to."""
    environ = {"AIRFLOW_HOME": str(folder), "AIRFLOW_VAR_CRYPTOML": json.dumps(options)}
    done = subprocess.run(
        [AIRFLOW_BIN / "python", FACTS, DAGS],
        env={**clean_environ(folder / "user"), **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The facts with all options at their defaults."""
    return facts_of(tmp_path_factory.mktemp("facts"), {})


@pytest.fixture(scope="session")
def tasks(facts: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, task) for dag in facts["dags"].values() for name, task in dag["tasks"].items()]


def test_the_four_steps_stand_in_a_row(facts):
    tasks = facts["dags"]["crypto_training"]["tasks"]
    assert list(tasks) == ORDER
    assert [task["downstream"] for task in tasks.values()] == [[after] for after in ORDER[1:]] + [[]]


def test_each_market_has_the_steps_after_extraction_to_itself(facts):
    tasks = facts["dags"]["crypto_training_by_symbol"]["tasks"]
    assert set(tasks) == {"extract_data", "market.transform_data", "market.version_data", "market.train_model"}
    assert tasks["market.version_data"]["downstream"] == ["market.train_model"]
    assert tasks["market.train_model"]["pool"] == "cryptoml_training"


def test_a_dag_runs_daily_and_once_at_a_time(facts):
    for dag in facts["dags"].values():
        assert (dag["schedule"], dag["catchup"], dag["max_active_runs"]) == ("@daily", False, 1)


def test_each_task_is_a_bash_operator_that_calls_cryptoml(facts, tasks):
    assert facts["cryptoml"] == [], "nothing of cryptoml is imported"
    for name, task in tasks:
        verb = {"extract": "extract-data", "transform": "transform-data", "version": "push-data", "train": "train"}
        assert task["is_bash"]
        assert f"cryptoml {verb[name.rpartition('.')[2].partition('_')[0]]} " in task["command"]


def test_commands_are_constant_and_values_come_as_variables(tasks):
    for _, task in tasks:
        assert not re.search(r"\{\{|\{%|\{#", task["command"]), "nothing is rendered into a command"
        assert task["command"].endswith("</dev/null")
        assert task["append_env"]
        assert task["cwd"] == task["env"]["CRYPTOML_PROJECT_DIR"]
        for text in (*task["env"].values(), task["cwd"], task["command"]):
            assert not text.endswith((".sh", ".bash")), "Airflow would read it as a template file"


def test_failures_are_tried_again_only_where_that_helps(tasks):
    for _, task in tasks:
        assert (task["retries"], task["retry_delay_s"]) == (2, 300.0)
        assert task["final_codes"] == [2, 3, 4, 6, 7]
        assert task["alerts"] == [["alert"], ["alert"]]


def test_the_guard_ends_a_step_before_airflow_gives_up_on_it(tasks):
    for _, task in tasks:
        assert task["command"].startswith('exec setpriv --pdeathsig TERM timeout --kill-after=30 "$LIMIT" ')
        assert task["execution_timeout_s"] == int(task["env"]["LIMIT"].removesuffix("s")) + 60


def test_the_models_offered_are_those_of_the_zoo(facts):
    from cryptoml.models.zoo import MODELS

    for dag in facts["dags"].values():
        assert set(dag["params"]["models"]["items"]["enum"]) == set(MODELS) - {"persistence"}


def test_dag_files_import_nothing_but_airflow_and_the_standard_library():
    allowed = set(sys.stdlib_module_names) | {"airflow"} | {path.stem for path in DAGS.glob("training_*.py")}
    for path in DAGS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert {name.partition(".")[0] for name in names} <= allowed, path


def test_no_package_shadows_airflow():
    assert list(DAGS.parent.rglob("dags/**/__init__.py")) == []
    assert not (DAGS.parent / "__init__.py").exists()


def test_options_are_chosen_by_the_variable(tmp_path):
    dags = facts_of(tmp_path, {"schedule": "hourly", "retry_seconds": 9, "train_limit_seconds": 60})["dags"]
    train = dags["crypto_training"]["tasks"]["train_model"]
    assert (dags["crypto_training"]["schedule"], train["retry_delay_s"], train["env"]["LIMIT"]) == (
        "@hourly",
        9.0,
        "60s",
    )


WRONG_OPTIONS = [
    ({"schedule": "weekly"}, "schedule must be one of hourly, daily, none, not 'weekly'."),
    ({"shedule": "daily"}, "must be a JSON object with the keys schedule, handover"),
    ({"retry_seconds": "5"}, "retry_seconds must be of type int, not '5'."),
    ({"retry_seconds": 0}, "retry_seconds must be at least 1, not 0."),
    ({"handover": "post"}, "handover must be one of path, version, not 'post'."),
    ([], "must be a JSON object"),
]
READ_EACH = """
import json, os, sys
from training_options import load_options
for options in json.load(sys.stdin):
    os.environ["AIRFLOW_VAR_CRYPTOML"] = json.dumps(options)
    try:
        print("taken:", load_options())
    except ValueError as error:
        print(error)
"""


def test_a_wrong_option_is_an_error_that_says_so(tmp_path):
    done = subprocess.run(
        [AIRFLOW_BIN / "python", "-c", READ_EACH],
        input=json.dumps([options for options, _ in WRONG_OPTIONS]),
        env={**clean_environ(tmp_path / "user"), "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(DAGS)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("The variable ", "taken: "))]
    for (_, words), line in zip(WRONG_OPTIONS, lines, strict=True):
        assert words in line
