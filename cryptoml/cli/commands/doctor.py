"""`cryptoml doctor`: what is wrong with the set-up, and the command that fixes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson

if TYPE_CHECKING:
    from cryptoml.doctor.run import Diagnosis

MARKS = {"ok": "ok", "warning": "warn", "error": "FAIL", "skipped": "skip"}
STYLES = {"ok": "green", "warning": "yellow", "error": "bold red", "skipped": "dim"}


def doctor(
    checks: Annotated[
        list[str] | None, typer.Argument(metavar="[CHECK]...", help="Look at these only, and what they need.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Leave out what asks the network.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the checks and end.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Fix what is safe to fix, then check again.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Also write the findings to a file, without secrets, to be shown to others.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at everything that training and promotion need; ends with 6 when something does not work."""
    from cryptoml.cli.console import listening, print_json_last, print_lines
    from cryptoml.doctor.context import read_context
    from cryptoml.doctor.run import all_checks, diagnose

    if list_:
        print_lines([f"{spec.name:20} {spec.doc}" for spec in all_checks()])
        return
    with listening(quiet=True) as listener:
        diagnosis = diagnose(read_context(), tuple(checks or ()), offline=offline, fix=fix, on_event=listener)
    lines = _lines(diagnosis)
    if report is not None:
        _write_report(report, lines)
    if as_json:
        print_json_last(
            {
                "schema": "cryptoml.doctor/1",
                "healthy": diagnosis.healthy,
                "seconds": round(diagnosis.seconds, 1),
                "fixed": list(diagnosis.fixed),
                "findings": [finding.to_dict() for finding in diagnosis.findings],
            }
        )
    else:
        _show(diagnosis)
    if not diagnosis.healthy:
        raise typer.Exit(6)


def _show(diagnosis: Diagnosis) -> None:
    from rich.text import Text

    from cryptoml.cli.console import printable, result_console

    console = result_console()
    for finding in diagnosis.findings:
        line = Text.assemble(
            (f"{MARKS[finding.tier]:5}", STYLES[finding.tier]), f"{finding.check:20} {printable(finding.text)}"
        )
        console.print(line, soft_wrap=True)
        if finding.hint:
            console.print(Text(f"{'':26}hint: {printable(finding.hint)}", style="cyan"), soft_wrap=True)
    for line_ in _ending(diagnosis):
        console.print(Text(line_), soft_wrap=True)


def _lines(diagnosis: Diagnosis) -> list[str]:
    lines = []
    for finding in diagnosis.findings:
        lines.append(f"{MARKS[finding.tier]:5}{finding.check:20} {finding.text}")
        if finding.hint:
            lines.append(f"{'':26}hint: {finding.hint}")
    return lines + _ending(diagnosis)


def _ending(diagnosis: Diagnosis) -> list[str]:
    count = {tier: sum(one.tier == tier for one in diagnosis.findings) for tier in MARKS}
    fixed = [f"fixed: {text}" for text in diagnosis.fixed]
    return [
        *fixed,
        f"{count['error']} do not work, {count['warning']} to know, {count['ok']} well, "
        f"{count['skipped']} not looked at ({diagnosis.seconds:.1f} s)",
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
