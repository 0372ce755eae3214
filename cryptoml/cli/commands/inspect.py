"""`cryptoml inspect`: show how a file of candles is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import (
    CandleInterval,
    ColumnNames,
    ConfigFile,
    Overrides,
    Sheet,
    SymbolName,
    TimeZone,
    reading_overrides,
)
from cryptoml.cli.outcome import Outcome

if TYPE_CHECKING:
    from cryptoml.workflows.inspect import Inspection


class ReadColumn(TypedDict):
    """A column that is used."""

    role: Annotated[str, "epoch, date, clock, open, high, low, close, volume or symbol"]
    name: Annotated[str, "its name in the file, or the derived one"]


class Gap(TypedDict):
    """Consecutive missing candles."""

    after: Annotated[str, "open time of the candle before, UTC"]
    candles: int


class ReadFinding(TypedDict):
    """What was repaired, dropped or noted."""

    kind: str
    action: Annotated[str, "repaired, dropped or noted"]
    count: Annotated[int, "rows"]
    examples: list[str]


class LostRows(TypedDict):
    """Candles that are no row for training."""

    warmup: Annotated[int, "at the start, before the features have their history"]
    gaps: Annotated[int, "after a gap, until no window contains it"]
    target: Annotated[int, "whose target is missing"]


class InspectDocument(TypedDict):
    """How a file is read."""

    path: str
    readable: Annotated[bool, "whether `train` can read it; if not, `error` says why"]
    format: str | None
    columns: list[ReadColumn]
    times: Annotated[str | None, "unit and zone of the times"]
    symbols: list[str]
    interval: str | None
    rows_read: int | None
    candles: int | None
    start: Annotated[str | None, "open time of the first candle, UTC"]
    end: Annotated[str | None, "open time of the last candle, UTC"]
    missing_candles: int | None
    no_trade_candles: Annotated[int | None, "of them in gaps that are treated as no trade"]
    gaps: Annotated[list[Gap], "that are longer"]
    findings: list[ReadFinding]
    training_rows: Annotated[int | None, "rows with all features and a target"]
    lost_rows: LostRows | None


def inspect(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A file of candles.")],
    columns: ColumnNames = None,
    symbol: SymbolName = None,
    interval: CandleInterval = None,
    timezone: TimeZone = None,
    sheet: Sheet = None,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[InspectDocument]:
    """Show how a file of candles is read.

    Also shows how many rows remain for training. Nothing is written. The exit code is 4 if the file cannot be read;
    the error says why.

    Example: cryptoml inspect data/raw/sim.csv
    """
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.result import Failure
    from cryptoml.workflows.inspect import inspect as describe

    reading = reading_overrides(columns=columns, symbol=symbol, interval=interval, timezone=timezone, sheet=sheet)
    _, loaded = load_project_config(config, [*(set_ or []), *reading])
    found = describe(path, loaded.config)
    failure = None if found.error is None else Failure.of(found.error)
    return Outcome(found.to_dict(), lambda: _show(found), failure)


def _show(found: Inspection) -> None:
    from cryptoml.cli.console import print_lines, print_table
    from cryptoml.evaluation.figures import price
    from cryptoml.system.plurals import counted

    lines = [f"format: {found.format}"] if found.format else []
    if found.columns:
        lines.append("columns: " + ", ".join(f"{role} = {name}" for role, name in found.columns.items()))
    lines += [f"times: {found.times}"] if found.times else []
    lines += [f"symbol: {', '.join(found.symbols)}"] if found.symbols else []
    report = found.report
    if report is not None:
        lines.append(f"interval: {report.interval}")
        lines.append(
            f"candles: {report.candles:,} of {counted(report.rows_read, 'row')}, {report.start} to {report.end} UTC"
        )
        if report.missing_candles:
            longest = sorted(report.breaks, key=lambda gap: -gap.candles)[:3]
            shown = "; ".join(f"{gap.candles:,} after {gap.after}" for gap in longest)
            lines.append(
                f"missing: {counted(report.missing_candles, 'candle')}, {report.no_trade_candles:,} treated as no trade"
                + (f"; longest gaps: {shown}" if shown else "")
            )
        lines += [finding.sentence() for finding in report.findings]
    costs = found.costs
    if costs is not None:
        lines.append(
            f"rows for training: {costs.rows:,} of {costs.candles:,}; {costs.warmup:,} at the start have too little "
            f"history, {costs.gaps:,} have a gap in it, {costs.target:,} have no target"
        )
        lines += costs.lines()
    print_lines(lines)
    if found.first:
        rows = [[str(row[0]), *(price(float(str(value))) for value in row[1:])] for row in (*found.first, *found.last)]
        print_table(("open time (UTC)", "open", "high", "low", "close", "volume"), rows, title="first and last candles")
