"""`cryptoml promote`: a version to a stage, back, and the history of it all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson, ConfigFile, Overrides

if TYPE_CHECKING:
    from cryptoml.registry.ledger import Entry
    from cryptoml.workflows.promote import Promoted


def promote(
    version: Annotated[str | None, typer.Argument(help="v3 or 3.")] = None,
    stage: Annotated[str | None, typer.Argument(help="none, staging, production or archived.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the ledger.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Candles to validate on; the newest file below data/ when not given.")
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Bring back the version that was in production before.")
    ] = False,
    history: Annotated[bool, typer.Option("--history", help="Show every transition, and what does not agree.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Move it although a check says no.")] = False,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Move a version to staging, production, archived or none; production is validated and archives the one before."""
    from cryptoml.cli.configured import configured
    from cryptoml.cli.console import listening, print_json_last
    from cryptoml.errors import UsageError
    from cryptoml.workflows.promote import PromoteRequest, read_history
    from cryptoml.workflows.promote import promote as move
    from cryptoml.workflows.promote import rollback as go_back

    settings, loaded = configured(config, set_)
    if history:
        _show_history(*read_history(settings, loaded.config), as_json=as_json)
        return
    if not rollback and (version is None or stage is None):
        raise UsageError(
            "which version goes where?", hint="cryptoml promote v3 production, or --rollback, or --history"
        )
    with listening() as listener:
        reason = reason or _ask()
        if rollback:
            done = go_back(settings, loaded.config, reason=reason, on_event=listener)
        else:
            assert version is not None
            assert stage is not None
            done = move(
                PromoteRequest(settings, loaded.config, version, stage, reason=reason, data=data, force=force),
                on_event=listener,
            )
    if as_json:
        print_json_last(done.to_dict())
    else:
        _show(done, reason)


def _ask() -> str | None:
    """The reason, asked for where somebody can answer; Enter leaves it out."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return typer.prompt("reason (Enter: none)", default="", show_default=False, err=True).strip() or None


def _show(done: Promoted, reason: str | None) -> None:
    from cryptoml.cli.console import print_lines, talk_console

    if not done.entries:
        print_lines([f"{done.model_name} v{done.version} is in {done.stage} already"])
        return
    if reason is None:
        talk_console().print('warning: no reason is given; the ledger says "none given"', style="yellow")
    way = " -> ".join([done.from_stage, *(entry.to_stage for entry in done.entries)])
    lines = [f"{done.model_name} v{done.version}: {way}"]
    lines += [
        f"v{entry.displaced[0]} made room and is in {entry.displaced[1]}" for entry in done.entries if entry.displaced
    ]
    print_lines([*lines, *(f"note: {warning}" for warning in done.warnings)])


def _show_history(entries: tuple[Entry, ...], faults: tuple[str, ...], *, as_json: bool) -> None:
    from cryptoml.cli.console import print_json_last, print_lines, print_table

    if as_json:
        print_json_last(
            {
                "schema": "cryptoml.history/1",
                "entries": [{**vars(entry), "hash": entry.hash()} for entry in entries],
                "faults": list(faults),
            }
        )
    else:
        print_table(
            ("#", "time", "version", "from", "to", "kind", "who", "reason", "displaced", "skill %"),
            [_row(entry) for entry in entries],
            left=10,
            fold=True,
        )
        print_lines(
            [*(f"disagrees: {fault}" for fault in faults)] or ["the ledger is whole and agrees with the registry"]
        )
    if faults:
        raise typer.Exit(6)


def _row(entry: Entry) -> list[str]:
    from cryptoml.evaluation.figures import figure

    skill = entry.metrics.get("validation_skill", entry.metrics.get("skill"))
    return [
        str(entry.number),
        entry.time.replace("T", " ").removesuffix("Z"),
        f"v{entry.version}",
        entry.from_stage,
        entry.to_stage,
        f"{entry.kind}{', forced' if entry.forced else ''}",
        entry.who,
        entry.reason,
        f"v{entry.displaced[0]} -> {entry.displaced[1]}" if entry.displaced else "",
        figure(100 * skill, "+.3f") if isinstance(skill, float) else "",
    ]
