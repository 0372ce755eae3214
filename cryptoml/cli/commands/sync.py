"""`cryptoml sync`: deliver what the tracking server did not take; with --from, copy another store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson

if TYPE_CHECKING:
    from cryptoml.settings import Settings
    from cryptoml.tracking.moving.results import MoveResult


def sync(
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="ADDRESS", help="Copy this store too: sqlite:///mlflow.db or an http(s) server."
        ),
    ] = None,
    experiment: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With --from: an experiment to copy; by default the project's."),
    ] = None,
    all_experiments: Annotated[
        bool, typer.Option("--all-experiments", help="With --from: copy all experiments.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --from: show what would be copied.")] = False,
    into: Annotated[
        str | None, typer.Option(metavar="NAME", help="Deliver waiting runs into this experiment instead of theirs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Deliver runs that are still in the journal, without doubling any; a run whose process died is FAILED."""
    from cryptoml.errors import UsageError
    from cryptoml.settings import load_settings

    if source is None:
        if experiment or all_experiments or dry_run:
            raise UsageError(
                "--experiment, --all-experiments and --dry-run belong to --from.",
                hint="cryptoml sync --from sqlite:///mlflow.db",
            )
        _deliver(load_settings(), into, as_json=as_json)
        return
    if into is not None:
        raise UsageError("--into is for waiting runs, not for --from.", hint="run cryptoml sync --into NAME by itself")
    if experiment and all_experiments:
        raise UsageError("--experiment and --all-experiments exclude each other.", hint="leave one of them out")
    _move(load_settings(), source, tuple(experiment or ()), all_experiments, dry_run, as_json)


def _deliver(settings: Settings, into: str | None, *, as_json: bool) -> None:
    from cryptoml.cli.console import listening, print_json_last, print_lines
    from cryptoml.errors import UsageError
    from cryptoml.system.names import experiment_name
    from cryptoml.workflows.sync import sync as deliver

    if into is not None:
        try:
            experiment_name(into)
        except ValueError as error:
            raise UsageError(f"--into: {error}.", hint="cryptoml sync --into NAME") from None
    with listening() as listener:
        result = deliver(settings, into=into, on_event=listener)
    if as_json:
        print_json_last(
            {
                "schema": "cryptoml.sync/1",
                "tracking_uri": result.tracking_uri,
                "delivered": [vars(one) for one in result.delivered],
                "left": result.left,
                "error": str(result.error) if result.error else None,
            }
        )
    else:
        lines = [f"{one.status.lower()}: {one.run_name} ({one.run_id})" for one in result.delivered]
        lines.append(
            f"{len(result.delivered)} run(s) delivered to {result.tracking_uri}, {result.left} left in the journal"
            if result.delivered or result.left
            else "nothing waits in the journal"
        )
        print_lines(lines)
    if result.error:
        raise result.error


def _move(
    settings: Settings, address: str, experiments: tuple[str, ...], all_experiments: bool, dry_run: bool, as_json: bool
) -> None:
    from cryptoml.cli.console import listening, print_json_last, print_lines
    from cryptoml.workflows.move_store import MoveRequest, move_store

    request = MoveRequest(settings, address, experiments, all_experiments, dry_run)
    with listening() as listener:
        result = move_store(request, on_event=listener)
    if as_json:
        print_json_last(result.to_dict())
    else:
        print_lines(_lines(result))
    if result.error:
        raise result.error
    if result.exit_code:
        raise typer.Exit(result.exit_code)


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
        there = f"{result.there} run{' is' if result.there == 1 else 's are'} there already"
        return [*lines, f"nothing to copy: {there}"]
    verb = "would be copied" if result.dry_run else "copied"
    named = [
        _count(totals["runs"], "run"),
        _count(totals["metrics"], "metric value"),
        f"{_count(totals['artifacts'], 'artifact')} ({totals['bytes'] / 1e6:,.1f} MB)",
        _count(totals["versions"], "version"),
        _count(totals["aliases"], "alias", "aliases"),
        _count(totals["ledger_entries"], "ledger entry", "ledger entries"),
    ]
    return [
        *lines,
        f"{verb} to {result.tracking_uri}: {', '.join(named)}; there already: {_count(result.there, 'run')}",
    ]


def _count(number: int, word: str, words: str = "") -> str:
    return f"{number:,} {word if number == 1 else words or f'{word}s'}"
