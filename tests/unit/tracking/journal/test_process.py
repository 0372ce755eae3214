"""Who is alive: the rules by which a process counts as gone, and those by which nobody can tell."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from cryptoml.tracking.journal import process
from cryptoml.tracking.journal.process import SILENCE_S, is_gone, read_mark, this_process


@pytest.fixture
def known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_machine", lambda: ("host/id", "boot", "space"))


def test_this_process_is_not_gone() -> None:
    assert not is_gone(this_process(), silent_s=10 * SILENCE_S)


def test_a_process_that_ended_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert is_gone(replace(this_process(), pid=child.pid), silent_s=0)


def test_another_process_with_the_same_pid_is_not_the_one() -> None:
    assert is_gone(replace(this_process(), started="1"), silent_s=0)


@pytest.mark.usefixtures("known_machine")
def test_another_host_is_never_judged() -> None:
    stranger = replace(this_process(), host="other/id", pid=2**22 + 1)
    assert not is_gone(stranger, silent_s=100 * SILENCE_S)


@pytest.mark.usefixtures("known_machine")
def test_after_a_reboot_the_process_is_gone() -> None:
    assert is_gone(replace(this_process(), boot="before"), silent_s=0)


@pytest.mark.usefixtures("known_machine")
def test_in_another_container_only_a_day_of_silence_tells() -> None:
    neighbour = replace(this_process(), space="other", pid=2**22 + 1)
    assert not is_gone(neighbour, silent_s=SILENCE_S - 1)
    assert is_gone(neighbour, silent_s=SILENCE_S + 1)


def test_without_a_machine_id_a_reboot_is_not_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_machine", lambda: ("worker-0/", "boot", "space"))
    mark = replace(this_process(), boot="other")
    assert not is_gone(mark, silent_s=0)
    assert is_gone(mark, silent_s=SILENCE_S + 1)


def test_a_mark_survives_json_and_lacking_fields() -> None:
    mark = this_process()
    assert read_mark(mark.to_dict()) == mark
    assert not is_gone(read_mark({}), silent_s=0)
