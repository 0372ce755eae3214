"""Runs the checks in parallel, in the order of their dependencies and with a deadline; an exception stops no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cryptoml import events
from cryptoml.doctor import (
    checks_airflow,
    checks_dagshub,
    checks_data,
    checks_git,
    checks_local,
    checks_mlflow,
    checks_stores,
)
from cryptoml.doctor.context import Context
from cryptoml.doctor.findings import CHECKS, CheckSpec, Finding, named
from cryptoml.doctor.preload import preload
from cryptoml.errors import CryptomlError, UsageError

DEADLINE_S = 13.0
SLOW_S = 60.0
# The machine counts as busy if SAMPLE_S of CPU time takes more than BUSY_FACTOR times as long.
SAMPLE_S, BUSY_FACTOR = 0.1, 1.5
# In the order of the report. Importing a module registers its checks.
MODULES = (checks_local, checks_git, checks_data, checks_dagshub, checks_mlflow, checks_stores, checks_airflow)


@dataclass(frozen=True)
class Diagnosis:
    """All findings in the order of the checks. fixed: the problems that `--fix` fixed."""

    findings: tuple[Finding, ...]
    seconds: float
    fixed: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether no check found an error."""
        return not any(finding.status == "error" for finding in self.findings)


def all_checks() -> list[CheckSpec]:
    """Return all checks in the order of the report."""
    order = {module.__name__: position for position, module in enumerate(MODULES)}
    return sorted(CHECKS.values(), key=lambda spec: order.get(spec.run.__module__, len(order)))


def diagnose(
    context: Context,
    names: Sequence[str] = (),
    *,
    offline: bool = False,
    fix: bool = False,
    on_event: events.OnEvent = events.ignore,
) -> Diagnosis:
    """Run all checks, or the named ones with those they need; with `fix`, apply the fixes and run them again."""
    specs = _selected(names)
    findings, seconds = _run(context, specs, offline=offline, on_event=on_event)
    fixed: list[str] = []
    if fix:
        for finding in findings:
            if finding.fix is not None:
                try:
                    finding.fix()
                    fixed.append(f"{finding.check}: {finding.text}")
                except CryptomlError as error:
                    on_event(events.Warned(f"{finding.check}: could not be fixed: {context.mask(error.fact)}"))
        if fixed:
            from cryptoml.doctor.context import read_context

            context.close()
            context = read_context(cwd=context.folder, timeout_s=context.timeout_s)
            findings, again = _run(context, specs, offline=offline, on_event=on_event)
            seconds += again
    context.close()
    selected = tuple(finding for finding in findings if not names or finding.check in names)
    return Diagnosis(selected, seconds, tuple(fixed))


def _selected(names: Sequence[str]) -> list[CheckSpec]:
    """Return the named checks and those that they need, in the order of the report."""
    for name in names:
        if name not in CHECKS:
            near = get_close_matches(name, CHECKS, n=1)
            raise UsageError(
                f"unknown check {name!r}.",
                hint=f"did you mean {near[0]}?" if near else "cryptoml doctor --list",
            )
    needed: set[str] = set()
    waiting = list(names or CHECKS)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += CHECKS[name].needs
    return [spec for spec in all_checks() if spec.name in needed]


def _run(
    context: Context, specs: Sequence[CheckSpec], *, offline: bool, on_event: events.OnEvent
) -> tuple[tuple[Finding, ...], float]:
    """Run each check in its own thread after those it needs; return the findings and the seconds without imports.

    A check that uses the network has DEADLINE_S. A local check, or any check while the machine is busy, has SLOW_S and
    is then reported as slow, which is a warning.
    """
    asks = {spec.name: spec.asks_network(context) and not offline for spec in specs}
    preload(context, {spec.name for spec in specs if not offline or not spec.asks_network(context)})
    done = {spec.name: threading.Event() for spec in specs}
    found: dict[str, list[Finding]] = {}
    began = time.monotonic()

    def work(spec: CheckSpec) -> None:
        for name in spec.needs:
            done[name].wait(max(0.0, began + SLOW_S - time.monotonic()))
        failed = [name for name in spec.needs if not _passed(found.get(name))]
        if failed:
            result = [Finding("skipped", f"needs {failed[0]}, which did not pass")]
        elif offline and spec.asks_network(context):
            result = [Finding("skipped", "skipped by --offline")]
        else:
            result = _guarded(context, spec)
        found[spec.name] = [named(finding, spec.name, context.mask) for finding in result]
        done[spec.name].set()
        on_event(events.StepAdvanced("doctor", spec.name))

    on_event(events.StepStarted("doctor", len(specs)))
    # Daemon threads, so that a hanging DNS lookup cannot keep the process from exiting.
    for spec in specs:
        threading.Thread(target=work, args=(spec,), name=f"check-{spec.name}", daemon=True).start()
    local = [spec for spec in specs if not asks[spec.name]]
    network = [spec for spec in specs if asks[spec.name]]
    _wait(done, local, began + DEADLINE_S)
    _wait(done, network, began + DEADLINE_S)
    if not all(event.is_set() for event in done.values()) and (_running(done, local) or is_busy()):
        _wait(done, specs, began + SLOW_S)
    seconds = time.monotonic() - began
    on_event(events.StepFinished("doctor", seconds))
    findings: list[Finding] = []
    for spec in specs:
        result = found.get(spec.name)
        if result is None:
            waits_for = next((name for name in spec.needs if name not in found), None)
            result = [named(_late(asks[spec.name], waits_for, seconds), spec.name, context.mask)]
        findings += result
    return tuple(findings), seconds


def _wait(done: Mapping[str, threading.Event], specs: Sequence[CheckSpec], until: float) -> None:
    for spec in specs:
        done[spec.name].wait(max(0.0, until - time.monotonic()))


def _running(done: Mapping[str, threading.Event], specs: Sequence[CheckSpec]) -> bool:
    """Return whether one of the checks has started and not finished."""
    return any(not done[spec.name].is_set() and all(done[name].is_set() for name in spec.needs) for spec in specs)


def _late(asks_network: bool, waits_for: str | None, seconds: float) -> Finding:
    """Return the finding for an unfinished check: an error for a network timeout, a warning for a slow machine."""
    if waits_for is not None:
        return Finding("skipped", f"needs {waits_for}, which has not finished")
    hint = "try again; cryptoml doctor NAME runs a single check"
    if asks_network and seconds < SLOW_S:
        return Finding("error", f"no response within {seconds:.0f} s", hint)
    return Finding("warning", f"not finished within {seconds:.0f} s, because this machine is busy", hint)


def is_busy() -> bool:
    """Measure whether this thread gets much less CPU time than it could use."""
    began, used = time.monotonic(), time.thread_time()
    while time.thread_time() - used < SAMPLE_S:
        pass
    return time.monotonic() - began > BUSY_FACTOR * SAMPLE_S


def _passed(findings: list[Finding] | None) -> bool:
    return findings is not None and not any(one.status in ("error", "skipped") for one in findings)


def _guarded(context: Context, spec: CheckSpec) -> list[Finding]:
    try:
        return list(spec.run(context))
    except CryptomlError as error:
        return [Finding("error", error.fact, error.hint)]
    except Exception as error:  # noqa: BLE001 - an exception in a check must not stop the others
        return [
            Finding("error", f"unexpected error in the check: {type(error).__name__}: {error}", "report it as a bug")
        ]
