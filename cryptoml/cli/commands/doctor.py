"""`cryptoml doctor`: check the set-up and print the command that fixes each error."""

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
    """A finding of one check."""

    check: str
    status: Annotated[str, "ok, warning, error or skipped"]
    text: str
    hint: Annotated[str, "the command that fixes it, or empty"]
    fixable: Annotated[bool, "whether `--fix` can fix it"]


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
        typer.Argument(metavar="CHECK", help="Checks to run, in addition to their prerequisites.", show_default="all"),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", rich_help_panel=SELECTION, help="Skip checks that use the network.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", rich_help_panel=SELECTION, help="List the checks and exit.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", rich_help_panel="Repair", help="Apply the safe fixes, then check again.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=OUTPUT, help="Also write the findings to a file, without secrets."
        ),
    ] = None,
) -> Outcome[DoctorDocument | ChecksDocument]:
    """Find set-up errors and how to fix them.

    Checks everything that training and promotion need. The exit code is 6 if there are errors.

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
                "check": finding.check,
                "status": finding.status,
                "text": finding.text,
                "hint": finding.hint,
                "fixable": finding.fix is not None,
            }
            for finding in diagnosis.findings
        ],
    }
    return Outcome(document, lambda: _show(diagnosis), _failure(diagnosis), failure_shown=True)


def _failure(diagnosis: Diagnosis) -> Failure | None:
    errors = [finding for finding in diagnosis.findings if finding.status == "error"]
    if not errors:
        return None
    names = ", ".join(dict.fromkeys(error.check for error in errors))
    hint = next((error.hint for error in errors if error.hint), "")
    return Failure(6, f"{counted(len(errors), 'error')}: {names}.", hint)


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
    for summary_line in _summary_lines(diagnosis):
        console.print(Text(summary_line), soft_wrap=True)


def _lines(diagnosis: Diagnosis) -> list[str]:
    lines = []
    for finding in diagnosis.findings:
        lines.append(f"{finding.status:8}{finding.check:20} {finding.text}")
        if finding.hint:
            lines.append(f"{'':29}Hint: {finding.hint}")
    return lines + _summary_lines(diagnosis)


def _summary_lines(diagnosis: Diagnosis) -> list[str]:
    count = {status: sum(finding.status == status for finding in diagnosis.findings) for status in STYLES}
    return [
        *(f"fixed: {text}" for text in diagnosis.fixed),
        f"{counted(count['error'], 'error')}, {counted(count['warning'], 'warning')}, {count['ok']} ok, "
        f"{count['skipped']} skipped ({diagnosis.seconds:.1f} s)",
    ]


def _write_report(path: Path, lines: list[str]) -> None:
    import platform

    from cryptoml import __version__
    from cryptoml.errors import AccessError

    header = [f"cryptoml {__version__}, Python {platform.python_version()}, {platform.platform()}", ""]
    try:
        path.write_text("\n".join([*header, *lines]) + "\n", encoding="utf-8")
    except OSError as error:
        raise AccessError(
            f"{path}: cannot be written: {error.strerror}.", hint="choose another file for --report"
        ) from None
