"""`cryptoml transform-data`: check raw candles with the quality gates and write the data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import (
    OUTPUT,
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
    from cryptoml.workflows.transform_data import Transformed


class QualityGate(TypedDict):
    """One quality gate."""

    gate: str
    value: Annotated[float | None, "measured value"]
    limit: Annotated[float, "maximum allowed value; a config key `quality.*`"]
    fact: Annotated[str, "description of both"]
    passed: bool


class TransformDocument(TypedDict):
    """The data set and the results of the quality gates."""

    passed: Annotated[bool, "whether all gates passed"]
    path: Annotated[str | None, "the data set; null if a gate failed"]
    report_path: Annotated[str, "the quality report (JSON)"]
    symbol: str
    interval: str
    candles: int
    first: Annotated[str, "open time of the first candle, UTC"]
    last: Annotated[str, "open time of the last candle, UTC"]
    n_features: int
    gates: list[QualityGate]


def transform_data(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Raw candles.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            rich_help_panel=OUTPUT,
            show_default="data/processed",
            help="Output folder, or a Parquet or CSV file.",
        ),
    ] = None,
    columns: ColumnNames = None,
    symbol: SymbolName = None,
    interval: CandleInterval = None,
    timezone: TimeZone = None,
    sheet: Sheet = None,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[TransformDocument]:
    """Check candles and write the data set.

    Candles must pass the quality gates (config keys quality.*); the exit code is 4 if one fails.

    Example: cryptoml transform-data data/raw/sim.csv
    """
    from cryptoml.cli.console import listening, print_result_lines
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.errors import DataError
    from cryptoml.result import Failure
    from cryptoml.workflows.transform_data import transform

    reading = reading_overrides(columns=columns, symbol=symbol, interval=interval, timezone=timezone, sheet=sheet)
    settings, loaded = load_project_config(config, [*(set_ or []), *reading])
    with listening() as listener:
        result = transform(
            path, output or settings.project_dir / "data" / "processed", loaded.config, on_event=listener
        )
    failure = None
    if result.path is None:
        failure = Failure(
            DataError.exit_code,
            f"{path}: {'; '.join(result.failures)}.",
            f"see {result.report_path}; the limits are the config keys quality.*",
        )
    return Outcome(
        _document(result),
        lambda: print_result_lines([str(result.path)] if result.path is not None else []),
        failure,
    )


def _document(result: Transformed) -> TransformDocument:
    return {
        "passed": result.path is not None,
        "path": None if result.path is None else str(result.path),
        "report_path": str(result.report_path),
        "symbol": result.symbol,
        "interval": result.interval,
        "candles": result.candles,
        "first": result.first,
        "last": result.last,
        "n_features": result.n_features,
        "gates": [
            {"gate": gate.gate, "value": gate.value, "limit": gate.limit, "fact": gate.fact, "passed": gate.passed}
            for gate in result.gates
        ],
    }
