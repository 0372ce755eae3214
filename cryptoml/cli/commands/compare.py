"""`cryptoml compare`: runs side by side, on the terminal, as CSV, as JSON, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson, ConfigFile, Overrides, Wide

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.evaluation.comparison import RunComparison
    from cryptoml.reports.tables import Column

PAIRS_SHOWN = 15


def compare(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Ids or names of runs; the newest training's if none.")
    ] = None,
    last: Annotated[int | None, typer.Option(min=1, help="The newest so many runs.")] = None,
    training_id: Annotated[str | None, typer.Option(help="The runs of one training.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The runs on this data set version, or what it begins with.")
    ] = None,
    sort: Annotated[str, typer.Option(help="The metric to sort by, the best first.")] = "cv_rmse_mean",
    significance: Annotated[
        bool, typer.Option("--significance", help="Test every two models, and production, on the hold-out.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write all metrics and parameters to this .csv file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts that needs no network.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Show runs that no ranking is fair to, marked.")] = False,
    wide: Wide = False,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show runs side by side: the best values, what differs and, on request, which differences are significant."""
    from cryptoml.cli.configured import configured
    from cryptoml.cli.console import print_json_last, print_result_lines
    from cryptoml.data.table_files import check_table_path, write_table
    from cryptoml.errors import UsageError
    from cryptoml.workflows.compare import CompareRequest
    from cryptoml.workflows.compare import compare as side_by_side

    if csv is not None:
        check_table_path(csv)
    if html is not None and (html.suffix.lower() not in (".html", ".htm") or html.is_dir()):
        raise UsageError(f"{html}: this names no page.", hint="end it with .html")
    settings, loaded = configured(config, set_)
    done = side_by_side(
        CompareRequest(
            settings,
            loaded.config,
            runs=tuple(runs or ()),
            last=last,
            training_id=training_id,
            dataset=dataset,
            sort=sort,
            significance=significance,
            details=html is not None,
            force=force,
        )
    )
    if csv is not None:
        write_table(_csv_table(done), csv)
    if html is not None:
        _write_report(done, html)
    if as_json:
        print_json_last(done.to_dict())
        return
    _show(done, wide=wide)
    print_result_lines([str(path) for path in (csv, html) if path is not None])


def _write_report(done: RunComparison, path: Path) -> None:
    from cryptoml.reports.comparison import render
    from cryptoml.system.files import in_words, write_atomically

    with in_words(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, render(done))


def _show(done: RunComparison, *, wide: bool) -> None:
    from cryptoml.cli.console import print_lines
    from cryptoml.cli.tables import print_columns
    from cryptoml.reports.tables import pair_columns, parameter_columns, run_columns

    hidden = print_columns(run_columns(done), wide=wide)
    differing = parameter_columns(done)
    if differing:
        _show_differing(done, differing, wide=wide)
    if done.pairs:
        title = f"pairwise tests on the hold-out, significance level {done.level:g}"
        hidden += print_columns(pair_columns(done, most=PAIRS_SHOWN), title=title, wide=wide)
        if len(done.pairs) > PAIRS_SHOWN:
            print_lines([f"the {PAIRS_SHOWN} least p-values of {len(done.pairs)} pairs"])
    print_lines([f"note: {note}" for note in done.notes])
    if hidden:
        print_lines(["columns left out: show them with --wide, --csv or --json"])


def _show_differing(done: RunComparison, columns: Sequence[Column], *, wide: bool) -> None:
    """A column for each run where there is room, else a row for each value with the runs that have it."""
    from cryptoml.cli.console import print_table
    from cryptoml.cli.tables import print_columns, table_width, terminal_width

    title = "parameters that differ"
    width = terminal_width()
    if wide or width is None or table_width(columns) <= width:
        print_columns(columns, title=title, wide=True)
        return
    names = {row.run_id: row.name for row in done.runs}
    rows = []
    for parameter, values in done.differing.items():
        for value in dict.fromkeys(values.values()):
            runs = ", ".join(names[run_id] for run_id, other in values.items() if other == value)
            rows.append([parameter, value, runs])
    print_table(("parameter", "value", "runs"), rows, title=title, left=3, fold=True)


def _csv_table(done: RunComparison) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "run_id": row.run_id,
                "run_name": row.name,
                "model_type": row.tags.get("model_type"),
                "status": row.status,
                "comparable": row.comparable,
                "verdict": row.tags.get("verdict"),
                "dataset_version": row.tags.get("dataset_version"),
                "training_id": row.tags.get("training_id"),
                **dict(sorted(row.metrics.items())),
                **{f"param.{name}": value for name, value in sorted(row.params.items())},
            }
            for row in done.runs
        ]
    )
