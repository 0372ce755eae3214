"""What a check finds, and the register of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cryptoml.doctor.context import Context

Status = Literal["ok", "warning", "error", "skipped"]


@dataclass(frozen=True)
class Finding:
    """One sentence about the set-up. hint: the command or the step that fixes it. fix: does so safely."""

    status: Status
    text: str
    hint: str = ""
    fix: Callable[[], object] | None = None
    check: str = ""


CheckFunction = Callable[["Context"], Iterable[Finding]]


@dataclass(frozen=True)
class CheckSpec:
    """A check: what it needs to have gone well before, and whether (or when) it asks the network."""

    name: str
    doc: str
    run: CheckFunction
    needs: tuple[str, ...] = ()
    network: bool | Callable[[Context], bool] = False

    def asks_network(self, context: Context) -> bool:
        """Whether it does so in this project."""
        return self.network if isinstance(self.network, bool) else self.network(context)


CHECKS: dict[str, CheckSpec] = {}


def check(
    name: str, *, needs: tuple[str, ...] = (), network: bool | Callable[[Context], bool] = False
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a check under `name`; its docstring's first line is what `doctor --list` says."""

    def register(function: CheckFunction) -> CheckFunction:
        doc = (function.__doc__ or "").strip().splitlines()[0]
        CHECKS[name] = CheckSpec(name, doc, function, needs, network)
        return function

    return register


def ok(text: str) -> Finding:
    """All is well."""
    return Finding("ok", text)


def warning(text: str, hint: str = "", fix: Callable[[], object] | None = None) -> Finding:
    """Works, but will bite."""
    return Finding("warning", text, hint, fix)


def error(text: str, hint: str = "", fix: Callable[[], object] | None = None) -> Finding:
    """Does not work."""
    return Finding("error", text, hint, fix)


def skipped(text: str) -> Finding:
    """Not looked at; neither are the checks that need it."""
    return Finding("skipped", text)


def named(finding: Finding, check_name: str, mask: Callable[[str], str]) -> Finding:
    """The finding with its check's name and without secrets."""
    return replace(finding, check=check_name, text=mask(finding.text), hint=mask(finding.hint))
