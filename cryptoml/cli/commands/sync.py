"""`cryptoml sync`: deliver runs from the journal to the store; with --from, copy another store."""

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
    is_new: Annotated[bool, "whether the run is new in the store"]
    versions: Annotated[list[tuple[str, str]], "registered models and versions created from it"]


class SyncDocument(TypedDict):
    """Without `--from`: the delivered runs."""

    tracking_uri: str
    delivered: list[DeliveredRun]
    left: Annotated[int, "runs that remain in the journal"]


class CopiedRun(TypedDict):
    """A copied run; in a dry run, one that would be copied."""

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
    versions: Annotated[dict[str, str], "source version -> target version, for added versions"]
    there: Annotated[int, "versions that already existed in the target"]
    aliases: dict[str, str]
    ledger: Annotated[str, "moved, aside, unchanged or none"]
    ledger_entries: int
    notes: list[str]
    lost: Annotated[list[str], "parts that could not be copied"]


class CopyDocument(TypedDict):
    """With `--from`: the copied runs and models."""

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
    runs_there: Annotated[int, "runs that already existed in the target"]
    versions_there: Annotated[int, "versions that already existed in the target"]
    copied: list[CopiedRun]
    models: list[CopiedModel]
    skipped: Annotated[list[str], "skipped runs, with the reason"]
    without_artifacts: Annotated[list[str], "runs whose artifacts are missing in the source"]


def sync(
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ADDRESS",
            rich_help_panel=COPY,
            help="Store to copy: sqlite:///mlflow.db or an http(s) URL.",
        ),
    ] = None,
    experiment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=COPY,
            show_default="that of the project",
            help="With --from: experiment to copy; repeatable.",
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
            show_default="experiment of each run",
            help="Experiment that receives the waiting runs.",
        ),
    ] = None,
) -> Outcome[SyncDocument | CopyDocument]:
    """Deliver waiting runs; copy another store.

    Runs wait in the journal if the tracking server was unavailable or the process was killed. No run is delivered
    twice.

    Example: cryptoml sync
    """
    from cryptoml.errors import UsageError
    from cryptoml.settings import load_settings

    if source is None:
        if experiment or all_experiments or dry_run:
            raise UsageError(
                "--experiment, --all-experiments and --dry-run require --from.",
                hint="cryptoml sync --from sqlite:///mlflow.db",
            )
        return _deliver(load_settings(), into)
    if into is not None:
        raise UsageError("--into and --from exclude each other.", hint="cryptoml sync --into NAME")
    if experiment and all_experiments:
        raise UsageError("--experiment and --all-experiments exclude each other.", hint="use only one of them")
    return _copy(load_settings(), source, tuple(experiment or ()), all_experiments, dry_run)


def _deliver(settings: Settings, into: str | None) -> Outcome[SyncDocument | CopyDocument]:
    from cryptoml.cli.console import listening, print_lines
    from cryptoml.errors import UsageError
    from cryptoml.system.names import check_experiment_name
    from cryptoml.workflows.sync import sync as deliver_runs

    if into is not None:
        try:
            check_experiment_name(into)
        except ValueError as error:
            raise UsageError(f"--into: {error}.", hint="cryptoml sync --into NAME") from None
    with listening() as listener:
        result = deliver_runs(settings, into=into, on_event=listener)
    document: SyncDocument = {
        "tracking_uri": result.tracking_uri,
        "delivered": [
            {
                "run_name": run.run_name,
                "run_id": run.run_id,
                "status": run.status,
                "is_new": run.is_new,
                "versions": list(run.versions),
            }
            for run in result.delivered
        ],
        "left": result.left,
    }
    return Outcome(
        document, lambda: print_lines(_delivery_lines(result)), Failure.of(result.error) if result.error else None
    )


def _delivery_lines(result: SyncResult) -> list[str]:
    if not (result.delivered or result.left):
        return ["no runs are waiting in the journal"]
    delivered = counted(len(result.delivered), "run")
    return [
        *(f"{run.status.lower()}: {run.run_name} ({run.run_id})" for run in result.delivered),
        f"{delivered} delivered to {result.tracking_uri}, {result.left} still in the journal",
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
        failure = Failure(result.exit_code, "some runs or artifacts are missing in the source and were not copied.")
    return Outcome(
        result.to_dict(), lambda: print_lines(_copy_lines(result)), failure, failure_shown=result.error is None
    )


def _copy_lines(result: MoveResult) -> list[str]:
    lines = [f"{run.status.lower()}: {run.run_name} ({run.run_id or run.source_run_id})" for run in result.runs]
    for model in result.models:
        lines += [
            f"{model.name} v{old}" + (f" -> v{new}" if new not in ("", old) else "")
            for old, new in model.versions.items()
        ]
        lines += [f"note: {note}" for note in model.notes]
    lines += [f"skipped: {reason}" for reason in result.skipped]
    lines += [f"artifacts are missing in the source: {name}" for name in result.without_artifacts]
    lines += [f"not copied: {reason}" for reason in result.lost]
    totals = result.totals()
    if not (totals["runs"] or totals["versions"]):
        if result.error:
            return lines
        verb = "exists" if result.there == 1 else "exist"
        return [*lines, f"nothing to copy: {counted(result.there, 'run')} already {verb}"]
    verb = "would be copied" if result.dry_run else "copied"
    counts = [
        counted(totals["runs"], "run"),
        counted(totals["metrics"], "metric value"),
        f"{counted(totals['artifacts'], 'artifact')} ({totals['bytes'] / 1e6:,.1f} MB)",
        counted(totals["versions"], "version"),
        counted(totals["aliases"], "alias", "aliases"),
        counted(totals["ledger_entries"], "ledger entry", "ledger entries"),
    ]
    return [
        *lines,
        f"{verb} to {result.tracking_uri}: {', '.join(counts)}; already existing: {counted(result.there, 'run')}",
    ]
