"""`cryptoml compare`: runs side by side, on the terminal, as CSV, as JSON, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson, ConfigFile, Overrides

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.evaluation.pairwise_tests import Pair
    from cryptoml.workflows.compare import ComparedRun, RunComparison

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
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show runs side by side with what is best, what differs and, asked for, which differences are more than luck."""
    from cryptoml.cli.configured import configured
    from cryptoml.cli.console import print_json_last, print_result_lines
    from cryptoml.data.table_files import check_table_path, write_table
    from cryptoml.errors import UsageError
    from cryptoml.system.files import in_words, write_atomically
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
        with in_words(html):
            html.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(html, _page(done))
    if as_json:
        print_json_last(done.to_dict())
        return
    _show(done)
    print_result_lines([str(path) for path in (csv, html) if path is not None])


def _show(done: RunComparison) -> None:
    from cryptoml.cli.console import print_lines, print_table

    columns, rows = _columns(), [_cells(done, row) for row in done.runs]
    print_table(columns, rows, left=3)
    differing = _differing(done)
    if differing:
        print_table(differing[0], differing[1:], title="what differs in the parameters")
    if done.pairs:
        pairs = _pairs(done.pairs)
        print_table(pairs[0], pairs[1 : PAIRS_SHOWN + 1], title="more than luck? (hold-out)", left=2)
        if len(done.pairs) > PAIRS_SHOWN:
            print_lines([f"the {PAIRS_SHOWN} surest of {len(done.pairs)} pairs"])
    print_lines([f"note: {note}" for note in done.notes])


def _columns() -> list[str]:
    from cryptoml.workflows.compare import METRICS

    return ["run", "model", "vs persistence", "p", *(title for title, _ in METRICS.values()), "registered"]


def _cells(done: RunComparison, row: ComparedRun, *, mark: str = "*") -> list[str]:
    """The texts of a row; `mark` stands before the best value of a column."""
    from cryptoml.evaluation.figures import figure
    from cryptoml.workflows.compare import METRICS

    run = row.run
    numbers = []
    for name in METRICS:
        text = _text(name, run.metrics.get(name)) if not (row.is_baseline and name in _SHARES) else ""
        numbers.append(f"{mark}{text}" if run.run_id in done.best.get(name, ()) else text)
    verdict = "" if row.is_baseline else run.tags.get("verdict", run.status.lower())
    p = run.metrics.get("dm_p_value")
    name = run.name if row.comparable else f"≠ {run.name}"
    return [
        name,
        run.tags.get("model_type", ""),
        verdict,
        "" if p is None or row.is_baseline else figure(p, ".3f"),
        *numbers,
        ", ".join(row.places),
    ]


# Shares, shown in percent; the forecast "no change" has none.
_SHARES = ("skill", "directional_accuracy")


def _text(name: str, value: float | None) -> str:
    from cryptoml.cli.numbers import price
    from cryptoml.evaluation.figures import figure

    if value is None:
        return ""
    if name in _SHARES:
        return figure(100 * value, "+.3f" if name == "skill" else ".1f")
    form = {"test_r2_score": ".4f", "test_mape": ".3f", "training_time_seconds": ".1f"}.get(name)
    return figure(value, form) if form else price(value)


def _differing(done: RunComparison) -> list[list[str]]:
    """A table with the heading first; a column a parameter. Empty when nothing differs."""
    names = list(done.differing)
    if not names:
        return []
    rows = [
        [row.run.name, *(done.differing[name].get(row.run.run_id, "") for name in names)]
        for row in done.runs
        if any(row.run.run_id in done.differing[name] for name in names)
    ]
    return [["run", *names], *rows]


def _pairs(pairs: Sequence[Pair]) -> list[list[str]]:
    from cryptoml.evaluation.figures import figure

    heading = ["better", "than", "by % of RMSE", "forecasts", "p", "p (Holm)", "says"]
    return [
        heading,
        *(
            [
                pair.better,
                pair.other,
                figure(100 * pair.gain, ".3f"),
                f"{pair.n:,}",
                figure(pair.p_value, ".3g"),
                figure(pair.p_adjusted, ".3g"),
                "better" if pair.p_adjusted < 0.05 else "a tie",
            ]
            for pair in pairs
        ),
    ]


def _csv_table(done: RunComparison) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "run_id": row.run.run_id,
                "run_name": row.run.name,
                "model_type": row.run.tags.get("model_type"),
                "status": row.run.status,
                "comparable": row.comparable,
                "verdict": row.run.tags.get("verdict"),
                "dataset_version": row.run.tags.get("dataset_version"),
                "training_id": row.run.tags.get("training_id"),
                **dict(sorted(row.run.metrics.items())),
                **{f"param.{name}": value for name, value in sorted(row.run.params.items())},
            }
            for row in done.runs
        ]
    )


def _page(done: RunComparison) -> str:
    from cryptoml.reports.comparison import ReportRun, render
    from cryptoml.workflows.compare import METRICS

    first = 4  # columns before the metrics
    told = []
    for row in done.runs:
        cells = _cells(done, row, mark="")
        metrics = {
            name: 100 * value if name in _SHARES else value
            for name, value in row.run.metrics.items()
            if name in METRICS and not (row.is_baseline and name in _SHARES)
        }
        p = row.run.metrics.get("dm_p_value")
        details = row.details
        told.append(
            ReportRun(
                name=row.run.name,
                is_baseline=row.is_baseline,
                comparable=row.comparable,
                cells=cells,
                values=[*cells[:3], p, *(metrics.get(name) for name in METRICS), cells[-1]],
                best=frozenset(
                    first + place for place, name in enumerate(METRICS) if row.run.run_id in done.best.get(name, ())
                ),
                metrics=metrics,
                holdout=details.holdout() if details is not None and details.predictions is not None else None,
                folds=details.folds if details else (),
                importance=details.importance if details else {},
            )
        )
    shown = next((row.run for row in done.runs if row.comparable), done.runs[0].run)
    subtitle = (
        f"{shown.params.get('symbol', '')} {shown.params.get('interval', '')}, "
        f"{shown.params.get('prediction_horizon', '1')} candle(s) ahead, data set "
        f"{shown.tags.get('dataset_version', '')[:24]}, {shown.params.get('start_date', '')} to "
        f"{shown.params.get('end_date', '')} UTC"
    )
    return render(
        title=f"{len(done.runs)} runs of {done.experiment}",
        subtitle=subtitle,
        columns=_columns(),
        runs=told,
        differing=_differing(done),
        pairs=_pairs(done.pairs) if done.pairs else [],
        notes=done.notes,
        metric_titles={name: title for name, (title, _) in METRICS.items()},
    )
