"""`cryptoml compare`: compare runs on the terminal, as CSV, JSON or an HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.backtest_table import RunBacktest
from cryptoml.cli.options import OUTPUT, ConfigFile, Overrides, Wide
from cryptoml.cli.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.evaluation.backtest import TradingRules
    from cryptoml.evaluation.comparison import RunComparison
    from cryptoml.reports.tables import Column

PAIRS_SHOWN = 15
SELECTION = "Selection"
COMPARISON = "Comparison"


class ComparedRunDocument(TypedDict):
    """One run."""

    run_id: str
    run_name: str
    model_type: str | None
    status: str
    comparable: Annotated[bool, "whether its scores are comparable with those of the other runs"]
    registered: Annotated[list[str], 'its model versions, such as "v3 production"']
    verdict: Annotated[str | None, "beats, ties or worse than persistence"]
    dataset_version: str | None
    training_id: str | None
    start_time_ms: int
    metrics: dict[str, float | None]
    params: dict[str, str]


class PairDocument(TypedDict):
    """Two models on the hold-out; `better` has the lower mean squared error."""

    better: str
    other: str
    n: Annotated[int, "number of common forecasts"]
    gain: Annotated[float | None, "relative reduction of the RMSE, a fraction"]
    p_value: Annotated[float | None, "Diebold-Mariano test, two-sided"]
    p_adjusted: Annotated[float | None, "Holm-adjusted over all pairs"]


class CompareDocument(TypedDict):
    """Runs: persistence first, the others by the sort metric."""

    experiment: str
    tracking_uri: str
    sort: Annotated[str, "sort metric"]
    runs: list[ComparedRunDocument]
    best: Annotated[dict[str, list[str]], "metric -> IDs of the best runs"]
    differing_params: Annotated[dict[str, dict[str, str]], "parameter -> run ID -> value"]
    significance_level: Annotated[float, "of the pairwise tests"]
    significance: Annotated[list[PairDocument], "empty without `--significance`"]
    backtests: Annotated[list[RunBacktest], "empty without `--backtest` and `--html`"]
    notes: list[str]


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Run IDs or names.", show_default="runs of the latest training"),
    ] = None,
    last: Annotated[
        int | None, typer.Option(min=1, metavar="N", rich_help_panel=SELECTION, help="Compare the N latest runs.")
    ] = None,
    training_id: Annotated[
        str | None, typer.Option(metavar="ID", rich_help_panel=SELECTION, help="Compare the runs of one training.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            rich_help_panel=SELECTION,
            help="Compare the runs on a data set version (a prefix is enough).",
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="CANDLES",
            rich_help_panel=COMPARISON,
            help="Use the scores and forecasts of a further horizon.",
            show_default="prediction_horizon of the runs",
        ),
    ] = None,
    sort: Annotated[
        str, typer.Option(metavar="METRIC", rich_help_panel=COMPARISON, help="Metric to sort by, best run first.")
    ] = "cv_rmse_mean",
    significance: Annotated[
        bool,
        typer.Option(
            "--significance",
            rich_help_panel=COMPARISON,
            help="Test all pairs of models on the hold-out.",
        ),
    ] = False,
    backtest: Annotated[
        bool,
        typer.Option(
            "--backtest",
            rich_help_panel=COMPARISON,
            help="Backtest the forecasts of the hold-out, as cryptoml backtest does.",
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", rich_help_panel=COMPARISON, help="Also show runs that are not comparable, marked."),
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=OUTPUT, help="Write all metrics and parameters to a CSV file."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=OUTPUT, help="Write a report with charts to an HTML file."),
    ] = None,
    wide: Wide = False,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[CompareDocument]:
    """Compare runs: metrics, parameters, charts.

    Only runs on the same data and split are comparable. For other runs the exit code is 6, unless --force is given.

    Example: cryptoml compare --last 5 --html runs.html
    """
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.data.table_files import check_table_path, write_table
    from cryptoml.reports.page import check_html_path
    from cryptoml.workflows.backtest import trading_rules
    from cryptoml.workflows.compare import CompareRequest
    from cryptoml.workflows.compare import compare as compare_runs

    if csv is not None:
        check_table_path(csv)
    if html is not None:
        check_html_path(html)
    settings, loaded = load_project_config(config, set_)
    comparison = compare_runs(
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
            backtest=backtest or html is not None,
            horizon=horizon,
            force=force,
        )
    )
    rules = trading_rules(loaded.config.backtest)
    if csv is not None:
        write_table(_csv_table(comparison), csv)
    if html is not None:
        _write_report(comparison, rules, html)
    files = [path for path in (csv, html) if path is not None]
    return Outcome(comparison.to_dict(), lambda: _show(comparison, rules if backtest else None, files, wide=wide))


def _write_report(comparison: RunComparison, rules: TradingRules, path: Path) -> None:
    from cryptoml.reports.comparison import render
    from cryptoml.reports.page import write_page

    write_page(path, render(comparison, rules))


def _show(comparison: RunComparison, rules: TradingRules | None, files: Sequence[Path], *, wide: bool) -> None:
    from cryptoml.cli.backtest_table import show_backtests
    from cryptoml.cli.console import print_lines, print_result_lines
    from cryptoml.cli.tables import print_columns
    from cryptoml.reports.tables import pair_columns, parameter_columns, run_columns

    hidden = print_columns(run_columns(comparison), wide=wide)
    differing = parameter_columns(comparison)
    if differing:
        _show_differing(comparison, differing, wide=wide)
    if comparison.pairs:
        title = f"pairwise tests on the hold-out, significance level {comparison.level:g}"
        hidden += print_columns(pair_columns(comparison, most=PAIRS_SHOWN), title=title, wide=wide)
        if len(comparison.pairs) > PAIRS_SHOWN:
            print_lines([f"the {PAIRS_SHOWN} pairs with the lowest p-values, of {len(comparison.pairs)}"])
    if rules is not None:
        hidden += show_backtests(comparison, rules, wide=wide)
    print_lines([f"note: {note}" for note in comparison.notes])
    if hidden:
        print_lines(["some columns are hidden: show them with --wide, --csv or --json"])
    print_result_lines([str(file) for file in files])


def _show_differing(comparison: RunComparison, columns: Sequence[Column], *, wide: bool) -> None:
    """Print one column per run if that fits the terminal, else one row per value with the runs that have it."""
    from cryptoml.cli.console import print_table
    from cryptoml.cli.tables import print_columns, table_width, terminal_width

    title = "parameters that differ"
    width = terminal_width()
    if wide or width is None or table_width(columns) <= width:
        print_columns(columns, title=title, wide=True)
        return
    names = {row.run_id: row.name for row in comparison.runs}
    rows = []
    for parameter, values in comparison.differing.items():
        for value in dict.fromkeys(values.values()):
            runs = ", ".join(names[run_id] for run_id, other in values.items() if other == value)
            rows.append([parameter, value, runs])
    print_table(("parameter", "value", "runs"), rows, title=title, left=3, fold=True)


def _csv_table(comparison: RunComparison) -> pd.DataFrame:
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
            for row in comparison.runs
        ]
    )
