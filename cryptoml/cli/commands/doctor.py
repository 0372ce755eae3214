"""`cryptoml doctor`: what is wrong with the set-up, and the command that fixes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import OUTPUT
from cryptoml.cli.outcome import Outcome
from cryptoml.result import Failure
from cryptoml.system.plurals import counted

if TYPE_CHECKING:
    from cryptoml.doctor.run import Diagnosis

STYLES = {"ok": "green", "warning": "yellow", "error": "bold red", "skipped": "dim"}
SELECTION = "Selection"


class FindingDocument(TypedDict):
    """What one check found."""

    check: str
    status: Annotated[str, "ok, warning, error or skipped"]
    text: str
    hint: Annotated[str, "the command that fixes it; may be empty"]
    fixable: Annotated[bool, "whether `--fix` fixes it"]


class DoctorDocument(TypedDict):
    """Without `--list`: all findings."""

    healthy: Annotated[bool, "whether no check found an error"]
    seconds: float
    fixed: Annotated[list[str], "what `--fix` did"]
    findings: list[FindingDocument]


class CheckDocument(TypedDict):
    """One check."""

    name: str
    description: str


class ChecksDocument(TypedDict):
    """With `--list`: all checks."""

    checks: list[CheckDocument]


def doctor(
    checks: Annotated[
        list[str] | None,
        typer.Argument(metavar="CHECK", help="Checks to run, with those they need.", show_default="all"),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", rich_help_panel=SELECTION, help="Skip checks that use the network.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", rich_help_panel=SELECTION, help="List the checks and exit.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", rich_help_panel="Repair", help="Fix what is safe to fix, then check again.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=OUTPUT, help="Also write the findings, without secrets, to a file."
        ),
    ] = None,
) -> Outcome[DoctorDocument | ChecksDocument]:
    """Find set-up errors and how to fix them.

    Checks everything that training and promotion need. The exit code is 6 if a check finds an error.

    Example: cryptoml doctor --offline
    """
    from cryptoml.cli.console import listening, print_lines
    from cryptoml.doctor.context import read_context
    from cryptoml.doctor.run import all_checks, diagnose

    if list_:
        listed = {"checks": [{"name": spec.name, "description": spec.doc} for spec in all_checks()]}
        return Outcome(listed, lambda: print_lines([f"{spec.name:20} {spec.doc}" for spec in all_checks()]))
    with listening(quiet=True) as listener:
        diagnosis = diagnose(read_context(), tuple(checks or ()), offline=offline, fix=fix, on_event=listener)
    if report is not None:
        _write_report(report, _lines(diagnosis))
    document: DoctorDocument = {
        "healthy": diagnosis.healthy,
        "seconds": round(diagnosis.seconds, 1),
        "fixed": list(diagnosis.fixed),
        "findings": [
            {
                "check": one.check,
                "status": one.status,
                "text": one.text,
                "hint": one.hint,
                "fixable": one.fix is not None,
            }
            for one in diagnosis.findings
        ],
    }
    return Outcome(document, lambda: _show(diagnosis), _failure(diagnosis), failure_shown=True)


def _failure(diagnosis: Diagnosis) -> Failure | None:
    errors = [one for one in diagnosis.findings if one.status == "error"]
    if not errors:
        return None
    names = ", ".join(dict.fromkeys(one.check for one in errors))
    return Failure(6, f"{counted(len(errors), 'error')}: {names}.", next((one.hint for one in errors if one.hint), ""))


def _show(diagnosis: Diagnosis) -> None:
    from rich.text import Text

    from cryptoml.cli.console import printable, result_console

    console = result_console()
    for finding in diagnosis.findings:
        line = Text.assemble(
            (f"{finding.status:8}", STYLES[finding.status]), f"{finding.check:20} {printable(finding.text)}"
        )
        console.print(line, soft_wrap=True)
        if finding.hint:
            console.print(Text(f"{'':29}Hint: {printable(finding.hint)}", style="cyan"), soft_wrap=True)
    for line_ in _ending(diagnosis):
        console.print(Text(line_), soft_wrap=True)


def _lines(diagnosis: Diagnosis) -> list[str]:
    lines = []
    for finding in diagnosis.findings:
        lines.append(f"{finding.status:8}{finding.check:20} {finding.text}")
        if finding.hint:
            lines.append(f"{'':29}Hint: {finding.hint}")
    return lines + _ending(diagnosis)


def _ending(diagnosis: Diagnosis) -> list[str]:
    count = {status: sum(one.status == status for one in diagnosis.findings) for status in STYLES}
    return [
        *(f"fixed: {text}" for text in diagnosis.fixed),
        f"{counted(count['error'], 'error')}, {counted(count['warning'], 'warning')}, {count['ok']} ok, "
        f"{count['skipped']} skipped ({diagnosis.seconds:.1f} s)",
    ]


def _write_report(path: Path, lines: list[str]) -> None:
    import platform

    from cryptoml import __version__
    from cryptoml.errors import AccessError

    head = [f"cryptoml {__version__}, Python {platform.python_version()}, {platform.platform()}", ""]
    try:
        path.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    except OSError as error:
        raise AccessError(f"{path}: cannot be written: {error.strerror}.", hint="choose another file") from None
