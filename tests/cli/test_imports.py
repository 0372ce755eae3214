"""Which libraries a command imports: those that take long to import only where it computes with them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project

if TYPE_CHECKING:
    from tests.lab import Lab

# mlflow itself imports numpy, pandas, a part of scipy and fastapi.
NOT_FOR_RECORDS = {
    "ccxt", "dagshub", "data_profiling", "dvc", "httpx", "jinja2", "matplotlib", "pygit2", "pyarrow.parquet",
    "scipy.stats", "skops", "sklearn", "sklearnex", "xgboost",
}  # fmt: skip
# skops imports all modules of scikit-learn; one of them imports dask, and with it jinja2, if it is installed.
NOT_FOR_FORECASTS = {
    "ccxt", "dagshub", "data_profiling", "dvc", "httpx", "matplotlib", "pygit2", "sklearnex", "xgboost", "distributed",
}  # fmt: skip
SCRIPT = """
import json, sys

migrations = []

def note(event, given):
    if event == "exec" and "db_migrations/versions" in getattr(given[0], "co_filename", ""):
        migrations.append(given[0].co_filename)

sys.addaudithook(note)

from cryptoml.cli.app import run

code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules), migrations]), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def project(lab: Lab) -> Project:
    """The trained project with version 1 of a ridge in staging."""
    project = lab.project
    for arguments in (
        ("register", lab.names["ridge"], "--force", "--reason", "test"),
        ("promote", "v1", "staging", "--force", "--reason", "test"),
    ):
        done = project.run(*arguments, "--set", "registry.model_name=imports")
        assert done.code == 0, done.err
    return project


def loaded(project: Project, *arguments: str) -> tuple[set[str], list[str]]:
    """The modules that the command has imported when it ends with 0, and the migrations of MLflow that it has run."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments, "--set", "registry.model_name=imports"],
        cwd=project.folder,
        env=dict(project.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules, migrations = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return set(modules), migrations


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        (("compare",), NOT_FOR_RECORDS),
        (("promote", "--history"), NOT_FOR_RECORDS),
        (("promote", "v1", "staging", "--reason", "test"), NOT_FOR_RECORDS),
        (("register", "RUN", "--force", "--reason", "test"), NOT_FOR_RECORDS),
        (("predict", "--model", "v1", "--stale-ok"), NOT_FOR_FORECASTS),
    ],
    ids=["compare", "history", "promote", "register", "predict"],
)
def test_a_command_imports_no_library_that_it_does_not_use(
    project: Project, lab: Lab, command: tuple[str, ...], unwanted: set[str]
) -> None:
    modules, migrations = loaded(project, *(lab.names["ridge"] if one == "RUN" else one for one in command))
    assert "mlflow.store.tracking.sqlalchemy_store" in modules
    assert sorted(unwanted & modules) == []
    assert migrations == []
