"""`cryptoml sample-data`: simulate candles with a known degree of predictability."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

import typer

from cryptoml.cli.options import OUTPUT
from cryptoml.cli.outcome import Outcome

SIMULATION = "Simulation"


class SampleDocument(TypedDict):
    """The simulated candles."""

    path: Annotated[str, "candle file"]
    truth_path: Annotated[str, "file with the best possible forecast for each candle"]
    candles: int
    interval: str
    start: Annotated[str, "open time of the first candle, UTC"]
    end: Annotated[str, "open time of the last candle, UTC"]
    signal: Annotated[float, "R2 of the best possible forecast of next-candle returns"]


def sample_data(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", rich_help_panel=OUTPUT, help="CSV, CSV.gz or Parquet file."),
    ],
    symbol: Annotated[
        str, typer.Option(metavar="SYMBOL", rich_help_panel=SIMULATION, help="Symbol to write to the file.")
    ] = "SIM",
    interval: Annotated[
        str,
        typer.Option(
            metavar="INTERVAL", rich_help_panel=SIMULATION, help="Candle interval, such as 1m, 15m, 1h or 1d."
        ),
    ] = "1h",
    years: Annotated[
        float, typer.Option(min=0.01, max=20, metavar="N", rich_help_panel=SIMULATION, help="Years of candles.")
    ] = 5.0,
    signal: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.5,
            metavar="R2",
            rich_help_panel=SIMULATION,
            help="R2 of the best possible next-candle forecast; 0 is a random walk.",
        ),
    ] = 0.01,
    seed: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", rich_help_panel=SIMULATION, help="Random seed; equal seeds give identical files."
        ),
    ] = 7,
    force: Annotated[bool, typer.Option("--force", rich_help_panel=OUTPUT, help="Overwrite an existing file.")] = False,
) -> Outcome[SampleDocument]:
    """Simulate candles with a known signal.

    A second file, the truth, contains the best possible forecast for each candle.

    Example: cryptoml sample-data --years 1 --signal 0.05 -o data/raw/sim.csv
    """
    from cryptoml.cli.console import print_lines
    from cryptoml.workflows.sample_data import make_sample_data

    sample = make_sample_data(
        output, symbol=symbol, interval=interval, years=years, signal=signal, seed=seed, replace=force
    )
    document: SampleDocument = {
        "path": str(sample.path),
        "truth_path": str(sample.truth_path),
        "candles": sample.n_candles,
        "interval": interval,
        "start": sample.start,
        "end": sample.end,
        "signal": signal,
    }
    lines = [
        f"SIMULATED candles, not a real market: {sample.n_candles:,} of {interval}, "
        f"{sample.start} to {sample.end} UTC.",
        f"The best possible model explains {signal:.2%} of next-candle return variance; the truth is in "
        f"{sample.truth_path}.",
        str(sample.path),
    ]
    return Outcome(document, lambda: print_lines(lines))
