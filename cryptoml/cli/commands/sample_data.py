"""`cryptoml sample-data`: simulated candles with a known amount of predictability."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sample_data(
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV, CSV.gz or Parquet file to write.")],
    symbol: Annotated[str, typer.Option(help="Symbol written into the file.")] = "SIM",
    interval: Annotated[str, typer.Option(help="Length of a candle: 1m, 15m, 1h, 1d ...")] = "1h",
    years: Annotated[float, typer.Option(min=0.01, max=20, help="Years of candles.")] = 5.0,
    signal: Annotated[
        float,
        typer.Option(min=0.0, max=0.5, help="Best possible R2 on next-candle returns; 0 is a random walk."),
    ] = 0.01,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 7,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write simulated candles and, beside them, the truth: what the best possible model would forecast."""
    from cryptoml.cli.console import print_lines
    from cryptoml.workflows.sample_data import make_sample_data

    made = make_sample_data(
        output, symbol=symbol, interval=interval, years=years, signal=signal, seed=seed, replace=force
    )
    print_lines(
        [
            f"SIMULATED candles, not a real market: {made.n_candles:,} of {interval}, {made.start} to {made.end} UTC.",
            f"The best possible model explains {signal:.2%} of next-candle return variance; the truth is in "
            f"{made.truth_path}.",
            str(made.path),
        ]
    )
