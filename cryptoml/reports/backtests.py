"""The table and the sentences of backtests, shared by the terminal and the HTML report."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cryptoml.evaluation.backtest import Backtest, TradingRules
from cryptoml.evaluation.comparison import RunComparison
from cryptoml.evaluation.figures import NO_VALUE, cell, p_value
from cryptoml.evaluation.sharpe import SharpeRatio
from cryptoml.reports.tables import Column

HOLD = "buy and hold"
CAVEAT = (
    "A backtest buys and sells at the close of the candle, always and at once, pays no interest for short positions, "
    "and knows one period only. A gain here is no promise."
)


def backtest_columns(comparison: RunComparison) -> list[Column]:
    """Return one row per model, and buying and holding as the last; empty without backtests."""
    tests = list(comparison.backtests.values())
    if not tests:
        return []
    names = [run.name for run in comparison.runs if run.run_id in comparison.backtests]
    held = tests[0]
    return [
        Column("run", [*names, HOLD], align="left", shrinks=True),
        Column("net %", _percent([*(one.net_return for one in tests), held.hold_return])),
        Column("before costs %", [*_percent([one.gross_return for one in tests]), ""], rank=5),
        Column(
            "Sharpe",
            [*(_sharpe(one.sharpe) for one in tests), _sharpe(held.buy_and_hold_sharpe)],
            rank=2,
        ),
        Column("deflated", [*(cell(one.sharpe.deflated, ".2f") for one in tests), ""], rank=6),
        Column("drawdown %", [*(cell(100 * one.max_drawdown, ".2f") for one in tests), ""], rank=3),
        Column("trades", [*(f"{one.n_trades:,}" for one in tests), "2"], rank=4),
        Column("turnover/year", [*(f"{one.turnover:,.0f}" for one in tests), ""], rank=8),
        Column("invested %", [*(f"{100 * one.exposure:.0f}" for one in tests), "100"], rank=9),
        Column("break-even fee bp", [*(cell(one.break_even_fee_bps, ".1f") for one in tests), ""], rank=1),
        Column("random 95 %", [*_percent([_or_nan(one, one.random_high) for one in tests]), ""], rank=7),
        Column("random p", [*(p_value(one.p_random) for one in tests), ""]),
    ]


def backtest_sentences(comparison: RunComparison, rules: TradingRules) -> list[str]:
    """Return a sentence about each backtest, then one about all."""
    found = [
        f"{run.name} {verdict(test, rules, level=comparison.level)}"
        for run in comparison.runs
        if (test := comparison.backtests.get(run.run_id))
    ]
    if rules.threshold != "none" and not any(test.n_trades for test in comparison.backtests.values()):
        found.append("Trade on all forecasts: cryptoml backtest --threshold none")
    return [*found, CAVEAT] if found else []


def rules_line(rules: TradingRules) -> str:
    """Return the rules in a line."""
    when = {
        "cost": "forecasts larger than the cost of buying and selling",
        "interval": "forecasts whose interval is on one side of zero",
        "none": "all forecasts",
    }[rules.threshold]
    sides = "long and short" if rules.short else "long only"
    return f"{when}; fee {rules.fee_bps:g} bp, slippage {rules.slippage_bps:g} bp, {sides}"


def verdict(test: Backtest, rules: TradingRules, *, level: float) -> str:
    """Return what a backtest says, as the rest of a sentence that begins with the run."""
    if not test.n_trades:
        reason = {
            "cost": f"no forecast exceeded the cost of buying and selling, {200 * rules.cost:.2g} %",
            "interval": "no prediction interval was on one side of zero",
            "none": "each forecast was no change" if rules.short else "no forecast was a rise",
        }[rules.threshold]
        return f"never traded: {reason}."
    if test.net_return <= 0:
        lost = f"lost {-test.net_return:.1%} after costs"
        if math.isnan(test.break_even_fee_bps):
            return f"{lost}, and would have lost without costs, too."
        if test.break_even_fee_bps < 0:
            return f"{lost}, and would have lost without a fee, too, because of the slippage."
        return f"{lost}; its fee would have to be below {test.break_even_fee_bps:.1f} bp."
    earned = f"earned {test.net_return:.1%} after costs"
    if test.p_random >= level:
        return f"{earned}, but so did {test.p_random:.0%} of the same trades at random times, which is chance."
    if not test.sharpe.deflated >= 1 - level:
        return f"{earned}, but the best of several models without skill may reach this Sharpe ratio by chance."
    return f"{earned}, more than chance explains in this period."


def _percent(values: Sequence[float]) -> list[str]:
    return [cell(100 * value, "+.2f") if math.isfinite(value) else NO_VALUE for value in values]


def _sharpe(ratio: SharpeRatio) -> str:
    return f"{ratio.value:.2f} ± {ratio.standard_error:.2f}" if math.isfinite(ratio.value) else NO_VALUE


def _or_nan(test: Backtest, value: float) -> float:
    return value if test.n_trades else math.nan
