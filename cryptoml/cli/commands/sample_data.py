"""`cryptoml sample-data`: simulated candles with a known amount of predictability."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

import typer

from cryptoml.cli.options import OUTPUT
from cryptoml.cli.outcome import Outcome

SIMULATION = "Simulation"


class SampleDocument(TypedDict):
    """The simulated candles."""

    path: Annotated[str, "file of candles"]
    truth_path: Annotated[str, "file with the best possible forecast of each candle"]
    candles: int
    interval: str
    start: Annotated[str, "open time of the first candle, UTC"]
    end: Annotated[str, "open time of the last candle, UTC"]
    signal: Annotated[float, "R2 of the best possible forecast of next-candle returns"]


def sample_data(
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", rich_help_panel=OUTPUT, help="CSV, CSV.gz or Parquet file to write."
        ),
    ],
    symbol: Annotated[
        str, typer.Option(metavar="SYMBOL", rich_help_panel=SIMULATION, help="Symbol written into the file.")
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
            help="Best possible R2 on next-candle returns; 0 is a random walk.",
        ),
    ] = 0.01,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", rich_help_panel=SIMULATION, help="The same seed gives the same bytes.")
    ] = 7,
    force: Annotated[bool, typer.Option("--force", rich_help_panel=OUTPUT, help="Overwrite an existing file.")] = False,
) -> Outcome[SampleDocument]:
    """Write simulated candles and their truth.

    The truth file holds what the best possible model would forecast for each candle.

    Example: cryptoml sample-data --years 1 --signal 0.05 -o data/raw/sim.csv
    """
    from cryptoml.cli.console import print_lines
    from cryptoml.workflows.sample_data import make_sample_data

    made = make_sample_data(
        output, symbol=symbol, interval=interval, years=years, signal=signal, seed=seed, replace=force
    )
    document: SampleDocument = {
        "path": str(made.path),
        "truth_path": str(made.truth_path),
        "candles": made.n_candles,
        "interval": interval,
        "start": made.start,
        "end": made.end,
        "signal": signal,
    }
    lines = [
        f"SIMULATED candles, not a real market: {made.n_candles:,} of {interval}, {made.start} to {made.end} UTC.",
        f"The best possible model explains {signal:.2%} of next-candle return variance; the truth is in "
        f"{made.truth_path}.",
        str(made.path),
    ]
    return Outcome(document, lambda: print_lines(lines))
