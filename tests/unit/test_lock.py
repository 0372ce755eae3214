"""The installed packages match the lock file."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]


def pins(lock: Path) -> list[Requirement]:
    lines = re.findall(r"^[a-z0-9].*?==[^\\\n]+", lock.read_text(), flags=re.MULTILINE)
    return [Requirement(line.strip()) for line in lines]


def test_installed_versions_match_the_lock_file():
    wanted = [pin for pin in pins(REPOSITORY / "requirements.lock") if pin.marker is None or pin.marker.evaluate()]
    assert len(wanted) > 200
    assert {pin.name: f"=={version(pin.name)}" for pin in wanted} == {pin.name: str(pin.specifier) for pin in wanted}


@pytest.mark.parametrize(
    "lock",
    [
        "requirements.lock",
        "airflow/requirements.lock",
        *(f"tests/compat/mlflow-{version}.lock" for version in ("2.9", "2.22", "3")),
    ],
)
def test_lock_files_have_hashes_and_no_urls(lock: str):
    text = (REPOSITORY / lock).read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_the_overrides_of_the_project_do_not_apply_to_the_lock_file_of_airflow():
    assert "--override" in (REPOSITORY / "requirements.lock").read_text()
    assert "--override" not in (REPOSITORY / "airflow" / "requirements.lock").read_text()


def test_installed_packages_are_compatible_except_for_the_overrides():
    """Compare with `pip check`, except for the overrides in pyproject.toml, which state their reasons."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    overridden = {canonicalize_name(Requirement(text).name) for text in project["tool"]["uv"]["override-dependencies"]}
    installed = {canonicalize_name(one.name): one for one in distributions()}
    conflicts = []
    for name, distribution in installed.items():
        for text in distribution.requires or []:
            wanted = Requirement(text)
            needed = canonicalize_name(wanted.name)
            if needed in overridden or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
                continue
            there = installed.get(needed)
            if there is None or not wanted.specifier.contains(there.version, prereleases=True):
                conflicts.append(f"{name} requires {text}; installed: {there.version if there else 'none'}")
    assert conflicts == []


def test_mlflow_can_load_its_graphql_schema():
    from mlflow.server.graphql.graphql_schema_extensions import schema

    assert "mlflowGetRun" in str(schema)
