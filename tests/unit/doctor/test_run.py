"""Checks stand on their own: one that crashes stops no other, and what needs it is skipped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cryptoml.doctor.context import read_context
from cryptoml.doctor.run import CHECKS, diagnose


def test_a_check_that_crashes_stops_no_other(tmp_path, monkeypatch: pytest.MonkeyPatch):
    def crash(context):
        raise ZeroDivisionError("in the check")

    monkeypatch.setitem(CHECKS, "git", replace(CHECKS["git"], run=crash))
    found = diagnose(read_context(cwd=tmp_path, timeout_s=1), ["git", "committed-secrets", "disk"], offline=True)
    tiers = {one.check: one.tier for one in found.findings}
    assert tiers["git"] == "error"
    assert tiers["disk"] == "ok"
    assert any("the check itself failed: ZeroDivisionError: in the check" in one.text for one in found.findings)
    needing = [spec.name for spec in CHECKS.values() if "git" in spec.needs]
    assert {tiers[name] for name in needing if name in tiers} <= {"skipped"}
