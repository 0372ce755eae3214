"""`cryptoml extract-data`: candles from an exchange into raw files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cryptoml.cli.options import AsJson, ConfigFile, Overrides
from cryptoml.data.exchange.sources import SOURCES


def extract_data(
    exchange: Annotated[str | None, typer.Option(help=f"One of {', '.join(SOURCES)}.")] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="Market such as BTC/USDT; may be repeated.")] = None,
    interval: Annotated[str | None, typer.Option(help="Length of a candle: 1m, 15m, 1h, 1d ...")] = None,
    since: Annotated[str | None, typer.Option(help="First candle of a new file, UTC: 2019-01-01.")] = None,
    until: Annotated[str | None, typer.Option(help="Fetch only candles that open before this time, UTC.")] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="Folder, or CSV or CSV.gz file; data/raw when not given.")
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Fetch complete candles from an exchange, going on at the end of the file that is there; no key needed."""
    from cryptoml.cli.configured import configured
    from cryptoml.cli.console import listening, print_json_last, print_result_lines
    from cryptoml.workflows.extract_data import ExtractRequest, extract

    settings, loaded = configured(config, set_)
    chosen = loaded.config.extract
    request = ExtractRequest(
        exchange=exchange or chosen.exchange,
        symbols=tuple(symbol) if symbol else chosen.symbols,
        interval=interval or chosen.interval,
        since=since or chosen.since,
        since_is_asked=since is not None,
        until=until,
        output=Path(output) if output else settings.project_dir / "data" / "raw",
        url=settings.exchange_url,
    )
    with listening() as listener:
        result = extract(request, on_event=listener)
    if as_json:
        print_json_last(
            {
                "schema": "cryptoml.extract/1",
                "exchange": result.exchange,
                "interval": result.interval,
                "markets": [
                    {
                        **vars(market),
                        "gaps": [{"after": after, "candles": candles} for after, candles in market.gaps],
                    }
                    for market in result.markets
                ],
                "failed": [
                    {"symbol": one.symbol, "error": str(one.error), "exit_code": one.error.exit_code}
                    for one in result.failed
                ],
                "error": str(result.error) if result.error else None,
            }
        )
    else:
        print_result_lines([str(market.path) for market in result.markets if market.last])
    if result.error:
        raise result.error
