"""When a process counts as exited, and when that cannot be determined."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from cryptoml.tracking.journal import process
from cryptoml.tracking.journal.process import IDLE_LIMIT_S, current_process, has_exited, read_identity


@pytest.fixture
def known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_machine", lambda: ("host/id", "boot", "space"))


def test_the_current_process_has_not_exited() -> None:
    assert not has_exited(current_process(), idle_s=10 * IDLE_LIMIT_S)


def test_an_ended_process_has_exited() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert has_exited(replace(current_process(), pid=child.pid), idle_s=0)


def test_a_reused_pid_is_detected() -> None:
    assert has_exited(replace(current_process(), started="1"), idle_s=0)


@pytest.mark.usefixtures("known_machine")
def test_processes_of_other_hosts_are_not_checked() -> None:
    stranger = replace(current_process(), host="other/id", pid=2**22 + 1)
    assert not has_exited(stranger, idle_s=100 * IDLE_LIMIT_S)


@pytest.mark.usefixtures("known_machine")
def test_after_a_reboot_the_process_has_exited() -> None:
    assert has_exited(replace(current_process(), boot="before"), idle_s=0)


@pytest.mark.usefixtures("known_machine")
def test_in_another_container_only_a_day_without_writes_counts() -> None:
    neighbour = replace(current_process(), space="other", pid=2**22 + 1)
    assert not has_exited(neighbour, idle_s=IDLE_LIMIT_S - 1)
    assert has_exited(neighbour, idle_s=IDLE_LIMIT_S + 1)


def test_without_a_machine_id_a_reboot_is_not_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_machine", lambda: ("worker-0/", "boot", "space"))
    mark = replace(current_process(), boot="other")
    assert not has_exited(mark, idle_s=0)
    assert has_exited(mark, idle_s=IDLE_LIMIT_S + 1)


def test_an_identity_survives_json_and_missing_fields() -> None:
    mark = current_process()
    assert read_identity(mark.to_dict()) == mark
    assert not has_exited(read_identity({}), idle_s=0)
