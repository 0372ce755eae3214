"""The environment is the one that the lock describes."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
