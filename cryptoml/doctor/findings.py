"""Findings of checks, and CHECKS, the registry of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cryptoml.doctor.context import Context

Status = Literal["ok", "warning", "error", "skipped"]


@dataclass(frozen=True)
class Finding:
    """A finding of a check. hint: the command or step that fixes it. fix: a safe automatic fix, for `--fix`."""

    status: Status
    text: str
    hint: str = ""
    fix: Callable[[], object] | None = None
    check: str = ""


CheckFunction = Callable[["Context"], Iterable[Finding]]


@dataclass(frozen=True)
class CheckSpec:
    """A check. needs: checks that must pass before. network: whether it uses the network, or a predicate."""

    name: str
    doc: str
    run: CheckFunction
    needs: tuple[str, ...] = ()
    network: bool | Callable[[Context], bool] = False

    def asks_network(self, context: Context) -> bool:
        """Return whether the check uses the network in this project."""
        return self.network if isinstance(self.network, bool) else self.network(context)


CHECKS: dict[str, CheckSpec] = {}


def check(
    name: str, *, needs: tuple[str, ...] = (), network: bool | Callable[[Context], bool] = False
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a check under `name`; `doctor --list` shows the first line of its docstring."""

    def register(function: CheckFunction) -> CheckFunction:
        doc = (function.__doc__ or "").strip().splitlines()[0]
        CHECKS[name] = CheckSpec(name, doc, function, needs, network)
        return function

    return register


def ok(text: str) -> Finding:
    """Return a finding that the check passed."""
    return Finding("ok", text)


def warning(text: str, hint: str = "", fix: Callable[[], object] | None = None) -> Finding:
    """Return a finding that works now but may fail later."""
    return Finding("warning", text, hint, fix)


def error(text: str, hint: str = "", fix: Callable[[], object] | None = None) -> Finding:
    """Return a finding that must be fixed."""
    return Finding("error", text, hint, fix)


def skipped(text: str) -> Finding:
    """Return a finding that the check was skipped; checks that need it are skipped, too."""
    return Finding("skipped", text)


def named(finding: Finding, check_name: str, mask: Callable[[str], str]) -> Finding:
    """Return the finding with the name of its check, and with secrets masked."""
    return replace(finding, check=check_name, text=mask(finding.text), hint=mask(finding.hint))
