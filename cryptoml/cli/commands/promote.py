"""`cryptoml promote`: move a model version to a stage, roll back, or show the history."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import NEWEST_DATA, ConfigFile, Overrides, Wide
from cryptoml.cli.outcome import Outcome
from cryptoml.result import Failure

if TYPE_CHECKING:
    from cryptoml.registry.ledger import Entry
    from cryptoml.workflows.promote import Promoted

VALIDATION = "Validation"
LEDGER = "Ledger"


class Displaced(TypedDict):
    """A version that was replaced."""

    version: str
    stage: Annotated[str, "its new stage"]


# "from" is a keyword.
PromoteDocument = TypedDict(
    "PromoteDocument",
    {
        "model_name": Annotated[str, "name in the registry"],
        "version": str,
        "from": Annotated[str, "previous stage"],
        "stage": Annotated[str, "new stage"],
        "changed": bool,
        "displaced": list[Displaced],
        "metrics": Annotated[dict[str, float | str | None], "the metrics behind the decision"],
        "warnings": list[str],
    },
)
PromoteDocument.__doc__ = "Without `--history`: the transition."


class LedgerEntry(TypedDict):
    """A transition, or a refused one."""

    number: int
    previous: Annotated[str, "hash of the previous entry; empty for the first"]
    time: Annotated[str, "ISO, UTC"]
    who: str
    host: str
    version: str
    from_stage: str
    to_stage: str
    reason: str
    kind: Annotated[str, "promotion, rollback or refusal"]
    forced: bool
    displaced: Annotated[tuple[str, str] | None, "version that was replaced, and its new stage"]
    metrics: Annotated[dict[str, float | str | None], "the metrics behind the decision"]
    git_commit: str
    dataset_version: str
    hash: str


class HistoryDocument(TypedDict):
    """With `--history`: the ledger."""

    entries: Annotated[list[LedgerEntry], "oldest first"]
    faults: Annotated[list[str], "differences between the ledger and the registry"]


def promote(
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="Model version: v3, latest, NAME@v3.")
    ] = None,
    stage: Annotated[
        str | None, typer.Argument(metavar="STAGE", help="New stage: none, staging, production or archived.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=VALIDATION,
            show_default=NEWEST_DATA,
            help="Candles of the market, for the validation.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", rich_help_panel=VALIDATION, help="Move the version even if a check fails.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", rich_help_panel=LEDGER, help="Reason, stored in the ledger.")
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", rich_help_panel=LEDGER, help="Restore the previous production version.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", rich_help_panel=LEDGER, help="Show all transitions and verify the ledger.")
    ] = False,
    config: ConfigFile = None,
    set_: Overrides = None,
    wide: Wide = False,
) -> Outcome[PromoteDocument | HistoryDocument]:
    """Move a model version to another stage.

    A promotion to production validates the version and archives the current one. The exit code is 6 if a check
    fails.

    Example: cryptoml promote v1 production --reason "beats persistence"
    """
    from cryptoml.cli.console import listening
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.errors import UsageError
    from cryptoml.workflows.promote import PromoteRequest, read_history
    from cryptoml.workflows.promote import promote as promote_version
    from cryptoml.workflows.promote import rollback as roll_back

    settings, loaded = load_project_config(config, set_)
    if history:
        return _history(*read_history(settings, loaded.config, data=data), wide=wide)
    if not rollback and (version is None or stage is None):
        raise UsageError(
            "VERSION and STAGE are required.", hint="cryptoml promote v3 production, or --rollback, or --history"
        )
    with listening() as listener:
        reason = reason or _ask_reason()
        if rollback:
            result = roll_back(settings, loaded.config, reason=reason, data=data, on_event=listener)
        else:
            assert version is not None
            assert stage is not None
            result = promote_version(
                PromoteRequest(settings, loaded.config, version, stage, reason=reason, data=data, force=force),
                on_event=listener,
            )
    return Outcome(result.to_dict(), lambda: _show(result, reason))


def _ask_reason() -> str | None:
    """Prompt for the reason on a terminal; return None without a terminal or for an empty answer."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return typer.prompt("reason (Enter: none)", default="", show_default=False, err=True).strip() or None


def _show(result: Promoted, reason: str | None) -> None:
    from cryptoml.cli.console import message_console, print_lines

    if not result.entries:
        print_lines([f"{result.model_name} v{result.version} is already in {result.stage}"])
        return
    if reason is None:
        message_console().print('warning: no reason is given; recorded as "none given"', style="yellow")
    steps = " -> ".join([result.from_stage, *(entry.to_stage for entry in result.entries)])
    lines = [f"{result.model_name} v{result.version}: {steps}"]
    lines += [
        f"v{entry.displaced[0]} was archived"
        if entry.displaced[1] == "archived"
        else f"v{entry.displaced[0]} was moved to {entry.displaced[1]}"
        for entry in result.entries
        if entry.displaced
    ]
    print_lines([*lines, *(f"note: {warning}" for warning in result.warnings)])


def _history(
    entries: tuple[Entry, ...], faults: tuple[str, ...], *, wide: bool
) -> Outcome[PromoteDocument | HistoryDocument]:
    document = {"entries": [{**vars(entry), "hash": entry.hash()} for entry in entries], "faults": list(faults)}
    failure = None
    if faults:
        failure = Failure(6, f"the ledger does not match the registry: {'; '.join(faults)}")
    return Outcome(document, lambda: _show_history(entries, faults, wide=wide), failure, failure_shown=True)


def _show_history(entries: tuple[Entry, ...], faults: tuple[str, ...], *, wide: bool) -> None:
    from cryptoml.cli.console import print_lines
    from cryptoml.cli.tables import print_columns
    from cryptoml.reports.tables import Column

    # Title -> rank; columns of the highest rank are hidden first on a narrow terminal.
    ranks = {
        "#": 0, "time": 0, "version": 0, "from": 0, "to": 0, "kind": 1, "who": 3, "reason": 2, "displaced": 4,
        "skill %": 5,
    }  # fmt: skip
    rows = [_row(entry) for entry in entries]
    columns = [
        Column(title, [row[index] for row in rows], rank=rank, align="left", shrinks=title == "reason")
        for index, (title, rank) in enumerate(ranks.items())
    ]
    hidden = print_columns(columns, wide=wide)
    lines = [f"mismatch: {fault}" for fault in faults] or ["ledger verified: matches the registry"]
    if hidden:
        lines.append("some columns are hidden: show them with --wide or --json")
    print_lines(lines)


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
