"""Commands that only read, or that need a run, create no store."""

from __future__ import annotations

import pytest

from tests.conftest import Project

RUN = "a" * 32
COMMANDS = [("compare",), ("monitor",), ("promote", "v1", "production"), ("promote", "--history"), ("register", RUN)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_folder_without_runs_is_not_changed(project: Project, command: tuple[str, ...]) -> None:
    done = project.run(*command)
    assert done.code == 2, done.err
    assert "mlflow.db: the tracking store does not exist yet" in done.err
    assert not list(project.folder.rglob("*mlflow.db*"))
