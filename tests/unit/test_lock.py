"""The environment is the one that the lock describes."""

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


def test_what_is_installed_is_what_the_lock_pins():
    wanted = [pin for pin in pins(REPOSITORY / "requirements.lock") if pin.marker is None or pin.marker.evaluate()]
    assert len(wanted) > 200
    assert {pin.name: f"=={version(pin.name)}" for pin in wanted} == {pin.name: str(pin.specifier) for pin in wanted}


@pytest.mark.parametrize("lock", ["requirements.lock", "airflow/requirements.lock"])
def test_locks_carry_hashes_and_no_addresses(lock: str):
    text = (REPOSITORY / lock).read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_the_projects_overrides_stay_out_of_airflows_lock():
    assert "--override" in (REPOSITORY / "requirements.lock").read_text()
    assert "--override" not in (REPOSITORY / "airflow" / "requirements.lock").read_text()


def test_installed_packages_agree_but_for_the_stated_overrides():
    """What `pip check` reports, less the overrides in pyproject.toml, each of which has its reason beside it."""
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
