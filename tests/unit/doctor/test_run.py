"""Checks are independent: an exception in one only skips those that need it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from cryptoml.doctor import run
from cryptoml.doctor.context import read_context
from cryptoml.doctor.findings import Finding
from cryptoml.doctor.run import CHECKS, diagnose


def test_an_exception_in_a_check_does_not_stop_the_others(tmp_path, monkeypatch: pytest.MonkeyPatch):
    def crash(context):
        raise ZeroDivisionError("in the check")

    monkeypatch.setitem(CHECKS, "git", replace(CHECKS["git"], run=crash))
    found = diagnose(read_context(cwd=tmp_path, timeout_s=1), ["git", "committed-secrets", "disk"], offline=True)
    statuses = {one.check: one.status for one in found.findings}
    assert statuses["git"] == "error"
    assert statuses["disk"] == "ok"
    assert any("unexpected error in the check: ZeroDivisionError: in the check" in one.text for one in found.findings)
    needing = [spec.name for spec in CHECKS.values() if "git" in spec.needs]
    assert {statuses[name] for name in needing if name in statuses} <= {"skipped"}


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "DEADLINE_S", 0.2)
    monkeypatch.setattr(run, "SLOW_S", 0.6)


def diagnosed(tmp_path, monkeypatch: pytest.MonkeyPatch, *, network: bool, busy: bool) -> dict[str, Finding]:
    """Return the findings if the check "git" does not end; "committed-secrets" needs it."""
    monkeypatch.setattr(run, "is_busy", lambda: busy)
    forever = threading.Event()
    monkeypatch.setitem(CHECKS, "git", replace(CHECKS["git"], run=lambda _: forever.wait(60), network=network))
    found = diagnose(read_context(cwd=tmp_path, timeout_s=1), ["git", "committed-secrets", "disk"])
    forever.set()
    return {one.check: one for one in found.findings}


@pytest.mark.parametrize(
    ("network", "busy", "status", "text"),
    [
        (True, False, "error", "no response"),
        (True, True, "warning", "not finished within"),
        (False, False, "warning", "not finished within"),
        (False, True, "warning", "not finished within"),
    ],
)
def test_a_network_timeout_is_an_error_and_a_slow_local_check_is_not(
    tmp_path, monkeypatch: pytest.MonkeyPatch, short_limits: None, network: bool, busy: bool, status: str, text: str
):
    found = diagnosed(tmp_path, monkeypatch, network=network, busy=busy)
    assert found["git"].status == status
    assert text in found["git"].text
    assert found["committed-secrets"].status == "skipped"
    assert found["disk"].status == "ok"


def test_imports_do_not_count_towards_the_time_limit(tmp_path, monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []
    monkeypatch.setattr(run, "preload", lambda context, checks: order.append("import") or time.sleep(0.5))
    monkeypatch.setattr(run, "DEADLINE_S", 5)
    disk = CHECKS["disk"]
    monkeypatch.setitem(CHECKS, "disk", replace(disk, run=lambda context: order.append("check") or disk.run(context)))
    found = diagnose(read_context(cwd=tmp_path, timeout_s=1), ["disk"])
    assert order == ["import", "check"]
    assert found.seconds < 0.5
    assert found.healthy
