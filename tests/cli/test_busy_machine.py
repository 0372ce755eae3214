"""On a loaded machine, `cryptoml doctor` reports no error for a healthy setup."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Hub, Project

BUSY = 4


@contextmanager
def busy() -> Iterator[None]:
    """Run more busy processes than there are cores."""
    # They end by themselves should this process be killed.
    script = "import time\nend = time.monotonic() + 240\nwhile time.monotonic() < end: pass"
    loops = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for one in loops:
            one.kill()
            one.wait()


def troubles(project: Project) -> list[object]:
    """Run `cryptoml doctor` in a new process and return its errors."""
    with busy():
        done = project.run("doctor", "--json", fresh=True)
    findings = done.json()["findings"]
    assert isinstance(findings, list)
    return [one for one in findings if one["status"] in ("error", "skipped")]


@pytest.mark.slow
def test_doctor_reports_no_error_for_a_healthy_local_project(project: Project) -> None:
    assert troubles(project) == []


@pytest.mark.slow
def test_doctor_reports_no_error_for_a_healthy_connection(hub: Hub) -> None:
    assert hub.run("setup-remotes").code == 0
    assert troubles(hub) == []
