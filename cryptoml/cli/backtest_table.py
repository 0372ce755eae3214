"""The backtests of `backtest` and `compare`: the table on the terminal, and the --json document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

if TYPE_CHECKING:
    from cryptoml.evaluation.backtest import TradingRules
    from cryptoml.evaluation.comparison import RunComparison


class RunBacktest(TypedDict):
    """The backtest of a run; returns are fractions of the capital at the start."""

    run_id: str
    run_name: str
    n_trades: Annotated[int, "number of changes of the position"]
    net_return: Annotated[float | None, "after fees and slippage"]
    gross_return: Annotated[float | None, "before them"]
    sharpe: Annotated[float | None, "annual Sharpe ratio; null if nothing was traded"]
    sharpe_standard_error: float | None
    deflated_sharpe: Annotated[float | None, "probability that the true ratio of the best of all models is above 0"]
    max_drawdown: Annotated[float | None, "largest fall from an earlier high, a fraction of it"]
    turnover: Annotated[float | None, "traded value per year, in multiples of the capital"]
    exposure: Annotated[float | None, "mean absolute position"]
    break_even_fee_bps: Annotated[float | None, "fee at which the net return is 0; null if no fee is low enough"]
    random_median: Annotated[float | None, "median net return of the same positions at random times"]
    random_high: Annotated[float | None, "95th percentile of the same"]
    p_random: Annotated[float | None, "share of them that earn at least as much; null if nothing was traded"]
    buy_and_hold: Annotated[float | None, "net return of buying and holding"]


def show_backtests(comparison: RunComparison, rules: TradingRules, *, wide: bool) -> int:
    """Print the table and a sentence about each backtest; return the number of hidden columns."""
    from cryptoml.cli.console import print_lines
    from cryptoml.cli.tables import print_columns
    from cryptoml.reports.backtests import backtest_columns, backtest_sentences, rules_line

    columns = backtest_columns(comparison)
    hidden = print_columns(columns, title=f"backtest: {rules_line(rules)}", wide=wide) if columns else 0
    print_lines(backtest_sentences(comparison, rules))
    return hidden
