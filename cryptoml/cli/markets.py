"""The tables of several markets, and the outcome of their trainings: one document, one exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cryptoml.cli.outcome import Outcome
from cryptoml.result import Failure

if TYPE_CHECKING:
    from cryptoml.reports.tables import Column
    from cryptoml.workflows.training.market import MarketOutcome
    from cryptoml.workflows.training.results import MarketRow, TrainResult


def markets_outcome(markets: Sequence[MarketOutcome], *, wide: bool) -> Outcome[Any]:
    """Return the outcome of several trainings.

    The exit code is that of the first market without a training, else the first one that is not 0.
    """
    failures = [_failure(market) for market in markets]
    document = {
        "markets": [
            {
                "data": str(market.request.data),
                "training": None if market.training is None else market.training.to_dict(),
                "error": failure.message if failure and market.error else None,
                "exit_code": failure.code if failure else 0,
            }
            for market, failure in zip(markets, failures, strict=True)
        ]
    }
    ended = [failure for failure, market in zip(failures, markets, strict=True) if market.error]
    first = next((failure for failure in (*ended, *failures) if failure is not None), None)
    n_failed = sum(failure is not None for failure in failures)
    failure = None
    if first is not None:
        failure = Failure(first.code, f"{n_failed} of {len(markets)} markets: {first.message}", first.hint)
    return Outcome(document, lambda: _show(markets, wide=wide), failure, failure_shown=True)


def _failure(market: MarketOutcome) -> Failure | None:
    from cryptoml.errors import CryptomlError

    if isinstance(market.error, CryptomlError):
        return Failure.of(market.error)
    if market.training is None:
        return Failure(1, f"{type(market.error).__name__}: {market.error}")
    return market.training.failure()


def _show(markets: Sequence[MarketOutcome], *, wide: bool) -> None:
    from cryptoml.cli.console import print_lines
    from cryptoml.cli.tables import print_columns

    results = [market.training for market in markets if market.training is not None]
    hidden = print_columns(_columns(results), wide=wide) if results else 0
    lines = []
    for market in markets:
        failure = _failure(market)
        if failure is not None:
            name = market.request.label if market.training is None else market.training.symbol
            hint = f" Hint: {failure.hint}" if failure.hint else ""
            lines.append(f"{name}: {failure.message}{hint}")
    if results:
        lines.append(f"runs: experiment {results[0].experiment} in {results[0].tracking_uri}")
    if hidden:
        lines.append("some columns are hidden: show them with --wide or --json")
    print_lines(lines)


def _columns(results: Sequence[TrainResult]) -> list[Column]:
    from cryptoml.evaluation.metrics import stored_metrics
    from cryptoml.reports.tables import VERDICT_TITLE, Column

    def values(name: str) -> list[float | None]:
        return [(result.best.metrics or {}).get(name) if result.best else None for result in results]

    columns = [
        Column("market", [f"{result.symbol} {result.interval}" for result in results], align="left"),
        Column("rows", [f"{result.n_rows:,}" for result in results], rank=3),
        Column("best model", [result.best.model_type if result.best else "" for result in results], align="left"),
        Column(VERDICT_TITLE, [str(result.best.verdict) if result.best else "" for result in results], rank=1),
    ]
    # Errors in prices of different markets are not comparable.
    for rank, name in enumerate(("skill", "dm_p_value_adjusted", "directional_accuracy", "interval_coverage")):
        metric = stored_metrics()[name]
        columns.append(Column(metric.title, [metric.text(number) for number in values(name)], rank=rank))
    registered = [f"{one.registered.model_name} v{one.registered.version}" if one.registered else "" for one in results]
    return [*columns, Column("registered", registered, align="left", rank=2, shrinks=True)]


def market_columns(rows: Sequence[MarketRow]) -> list[Column]:
    """Return the columns of the scores of a pooled model by market."""
    from cryptoml.evaluation.metrics import stored_metrics
    from cryptoml.reports.tables import VERDICT_TITLE, Column

    columns = [
        Column("market", [row.symbol for row in rows], align="left"),
        Column("hold-out rows", [f"{row.n_test_samples:,}" for row in rows], rank=2),
        Column(VERDICT_TITLE, [row.verdict for row in rows], rank=1),
    ]
    for rank, name in enumerate(("skill", "dm_p_value_adjusted", "directional_accuracy", "interval_coverage")):
        metric = stored_metrics()[name]
        columns.append(Column(metric.title, [metric.text(getattr(row, name)) for row in rows], rank=rank))
    return columns
