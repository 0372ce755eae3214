"""`cryptoml backtest`: what trading on the forecasts of the hold-out would have earned after costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.backtest_table import RunBacktest
from cryptoml.cli.options import OUTPUT, ConfigFile, Overrides, Wide, config_key
from cryptoml.cli.outcome import Outcome

if TYPE_CHECKING:
    from cryptoml.evaluation.backtest import TradingRules
    from cryptoml.evaluation.comparison import RunComparison

TRADING = "Trading"


class BacktestDocument(TypedDict):
    """The backtests, in the order of `cryptoml compare`."""

    fee_bps: float
    slippage_bps: float
    threshold: Annotated[str, "cost, interval or none"]
    short: bool
    backtests: list[RunBacktest]
    sentences: Annotated[list[str], "what each backtest says"]


def backtest(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Run IDs or names.", show_default="runs of the latest training"),
    ] = None,
    fee: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="BPS",
            rich_help_panel=TRADING,
            help=f"Fee of buying and of selling, in basis points. {config_key('backtest.fee_bps')}",
        ),
    ] = None,
    slippage: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="BPS",
            rich_help_panel=TRADING,
            help=f"Difference to the close, in basis points. {config_key('backtest.slippage_bps')}",
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            rich_help_panel=TRADING,
            help="Trade if the forecast exceeds the cost (cost), if the interval is on one side of zero (interval), "
            f"or always (none). {config_key('backtest.threshold')}",
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="CANDLES",
            rich_help_panel=TRADING,
            help="Use the scores and forecasts of a further horizon.",
            show_default="prediction_horizon of the runs",
        ),
    ] = None,
    long_only: Annotated[
        bool,
        typer.Option(
            "--long-only", rich_help_panel=TRADING, help="Do not sell short; the same as backtest.short=false."
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=OUTPUT, help="Write a plot of the capital to a PNG file."),
    ] = None,
    wide: Wide = False,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[BacktestDocument]:
    """Trade on hold-out forecasts, after costs.

    Uses the stored forecasts of runs, on candles that their models did not see. Compares with buying and holding, and
    with the same trades at random times.

    Example: cryptoml backtest --fee 4 --threshold none --plot backtest.png
    """
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.errors import CheckFailedError, UsageError
    from cryptoml.reports.backtests import backtest_sentences, rules_line
    from cryptoml.workflows.backtest import trading_rules
    from cryptoml.workflows.compare import CompareRequest, compare

    if plot is not None and (plot.suffix.lower() != ".png" or plot.is_dir()):
        raise UsageError(f"--plot {plot}: the file name must end with .png.", hint="--plot backtest.png")
    given = {"fee_bps": fee, "slippage_bps": slippage, "threshold": threshold, "short": "false" if long_only else None}
    overrides = [f"backtest.{name}={value}" for name, value in given.items() if value is not None]
    settings, loaded = load_project_config(config, [*(set_ or []), *overrides])
    request = CompareRequest(settings, loaded.config, runs=tuple(runs or ()), backtest=True, horizon=horizon)
    comparison = compare(request)
    if not comparison.backtests:
        raise CheckFailedError("none of the runs has stored forecasts of a model.", hint="cryptoml train")
    rules = trading_rules(loaded.config.backtest)
    if plot is not None:
        from cryptoml.reports.backtest_plot import draw_backtests

        draw_backtests(comparison, plot, subtitle=rules_line(rules))
    document: BacktestDocument = {
        "fee_bps": rules.fee_bps,
        "slippage_bps": rules.slippage_bps,
        "threshold": rules.threshold,
        "short": rules.short,
        "backtests": comparison.to_dict()["backtests"],
        "sentences": backtest_sentences(comparison, rules),
    }
    return Outcome(document, lambda: _show(comparison, rules, plot, wide=wide))


def _show(comparison: RunComparison, rules: TradingRules, plot: Path | None, *, wide: bool) -> None:
    from cryptoml.cli.backtest_table import show_backtests
    from cryptoml.cli.console import print_lines, print_result_lines

    hidden = show_backtests(comparison, rules, wide=wide)
    print_lines([f"note: {note}" for note in comparison.notes])
    if hidden:
        print_lines(["some columns are hidden: show them with --wide or --json"])
    if plot is not None:
        print_result_lines([str(plot)])
