"""`cryptoml sync`: deliver what the tracking server did not take; with --from, copy another store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.outcome import Outcome
from cryptoml.result import Failure
from cryptoml.system.plurals import counted

if TYPE_CHECKING:
    from cryptoml.settings import Settings
    from cryptoml.tracking.moving.results import MoveResult
    from cryptoml.workflows.sync import SyncResult

COPY = "Copy another store"


class DeliveredRun(TypedDict):
    """A run that was delivered."""

    run_name: str
    run_id: str
    status: Annotated[str, "FINISHED, FAILED or KILLED"]
    is_new: Annotated[bool, "whether the store did not have it"]
    versions: Annotated[list[tuple[str, str]], "registered models and versions that were made of it"]


class SyncDocument(TypedDict):
    """Without `--from`: what was delivered."""

    tracking_uri: str
    delivered: list[DeliveredRun]
    left: Annotated[int, "runs that are still in the journal"]


class CopiedRun(TypedDict):
    """A run that was copied, or would be."""

    source_run_id: str
    run_id: Annotated[str, "empty in a dry run"]
    run_name: str
    experiment: str
    status: str
    metrics: Annotated[int, "metric values"]
    artifacts: int
    size: Annotated[int, "bytes of artifacts"]


class CopiedModel(TypedDict):
    """A registered model."""

    name: str
    versions: Annotated[dict[str, str], "version in the source to version in the target, of those added"]
    there: Annotated[int, "versions that the target had already"]
    aliases: dict[str, str]
    ledger: Annotated[str, "moved, aside, unchanged or none"]
    ledger_entries: int
    notes: list[str]
    lost: Annotated[list[str], "what could not be copied"]


class CopyDocument(TypedDict):
    """With `--from`: what was copied."""

    source: str
    tracking_uri: str
    dry_run: bool
    experiments: list[str]
    runs: int
    metrics: Annotated[int, "metric values"]
    artifacts: int
    bytes: Annotated[int, "bytes of artifacts"]
    versions: int
    aliases: int
    ledger_entries: int
    runs_there: Annotated[int, "runs that the target had already"]
    versions_there: Annotated[int, "versions that the target had already"]
    copied: list[CopiedRun]
    models: list[CopiedModel]
    skipped: Annotated[list[str], "runs left out, and why"]
    without_artifacts: Annotated[list[str], "runs whose artifacts the source has lost"]


def sync(
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ADDRESS",
            rich_help_panel=COPY,
            help="Copy this store too: sqlite:///mlflow.db or an http(s) server.",
        ),
    ] = None,
    experiment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=COPY,
            show_default="the project's",
            help="With --from: an experiment to copy; repeatable.",
        ),
    ] = None,
    all_experiments: Annotated[
        bool, typer.Option("--all-experiments", rich_help_panel=COPY, help="With --from: copy all experiments.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel=COPY, help="With --from: show what would be copied.")
    ] = False,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel="Delivery",
            show_default="the experiment of each run",
            help="Deliver waiting runs into this experiment.",
        ),
    ] = None,
) -> Outcome[SyncDocument | CopyDocument]:
    """Deliver waiting runs; copy another store.

    Runs wait in the journal when the tracking server is away or a process was killed. None is delivered twice.

    Example: cryptoml sync
    """
    from cryptoml.errors import UsageError
    from cryptoml.settings import load_settings

    if source is None:
        if experiment or all_experiments or dry_run:
            raise UsageError(
                "--experiment, --all-experiments and --dry-run belong to --from.",
                hint="cryptoml sync --from sqlite:///mlflow.db",
            )
        return _deliver(load_settings(), into)
    if into is not None:
        raise UsageError("--into is for waiting runs, not for --from.", hint="run cryptoml sync --into NAME by itself")
    if experiment and all_experiments:
        raise UsageError("--experiment and --all-experiments exclude each other.", hint="leave one of them out")
    return _copy(load_settings(), source, tuple(experiment or ()), all_experiments, dry_run)


def _deliver(settings: Settings, into: str | None) -> Outcome[SyncDocument | CopyDocument]:
    from cryptoml.cli.console import listening, print_lines
    from cryptoml.errors import UsageError
    from cryptoml.system.names import check_experiment_name
    from cryptoml.workflows.sync import sync as deliver

    if into is not None:
        try:
            check_experiment_name(into)
        except ValueError as error:
            raise UsageError(f"--into: {error}.", hint="cryptoml sync --into NAME") from None
    with listening() as listener:
        result = deliver(settings, into=into, on_event=listener)
    document: SyncDocument = {
        "tracking_uri": result.tracking_uri,
        "delivered": [
            {
                "run_name": one.run_name,
                "run_id": one.run_id,
                "status": one.status,
                "is_new": one.is_new,
                "versions": list(one.versions),
            }
            for one in result.delivered
        ],
        "left": result.left,
    }
    return Outcome(
        document, lambda: print_lines(_deliveries(result)), Failure.of(result.error) if result.error else None
    )


def _deliveries(result: SyncResult) -> list[str]:
    return [
        *(f"{one.status.lower()}: {one.run_name} ({one.run_id})" for one in result.delivered),
        f"{counted(len(result.delivered), 'run')} delivered to {result.tracking_uri}, {result.left} left in the journal"
        if result.delivered or result.left
        else "nothing waits in the journal",
    ]


def _copy(
    settings: Settings, address: str, experiments: tuple[str, ...], all_experiments: bool, dry_run: bool
) -> Outcome[SyncDocument | CopyDocument]:
    from cryptoml.cli.console import listening, print_lines
    from cryptoml.workflows.move_store import MoveRequest, move_store

    request = MoveRequest(settings, address, experiments, all_experiments, dry_run)
    with listening() as listener:
        result = move_store(request, on_event=listener)
    failure = None
    if result.error:
        failure = Failure.of(result.error)
    elif result.exit_code:
        failure = Failure(result.exit_code, "the source has lost a part of what was to be copied.")
    return Outcome(result.to_dict(), lambda: print_lines(_lines(result)), failure, failure_shown=result.error is None)


def _lines(result: MoveResult) -> list[str]:
    lines = [f"{run.status.lower()}: {run.run_name} ({run.run_id or run.source_run_id})" for run in result.runs]
    for model in result.models:
        lines += [
            f"{model.name} v{old}" + (f" is v{new} here" if new not in ("", old) else "")
            for old, new in model.versions.items()
        ]
        lines += [f"note: {sentence}" for sentence in model.notes]
    lines += [f"skipped: {sentence}" for sentence in result.skipped]
    lines += [f"without artifacts, which the source no longer has: {name}" for name in result.without_artifacts]
    lines += [f"not copied: {sentence}" for sentence in result.lost]
    totals = result.totals()
    if not (totals["runs"] or totals["versions"]):
        if result.error:
            return lines
        verb = "is" if result.there == 1 else "are"
        return [*lines, f"nothing to copy: {counted(result.there, 'run')} {verb} there already"]
    verb = "would be copied" if result.dry_run else "copied"
    named = [
        counted(totals["runs"], "run"),
        counted(totals["metrics"], "metric value"),
        f"{counted(totals['artifacts'], 'artifact')} ({totals['bytes'] / 1e6:,.1f} MB)",
        counted(totals["versions"], "version"),
        counted(totals["aliases"], "alias", "aliases"),
        counted(totals["ledger_entries"], "ledger entry", "ledger entries"),
    ]
    return [
        *lines,
        f"{verb} to {result.tracking_uri}: {', '.join(named)}; there already: {counted(result.there, 'run')}",
    ]
