"""`cryptoml extract-data`: fetch candles from an exchange into raw files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import OUTPUT, ConfigFile, Overrides, config_key
from cryptoml.cli.outcome import Outcome
from cryptoml.data.exchange.sources import SOURCES

if TYPE_CHECKING:
    from cryptoml.workflows.extract_data import ExtractResult

CANDLES = "Candles"


class Gap(TypedDict):
    """A gap in the candles of the exchange."""

    after: Annotated[str, "open time of the candle before the gap, UTC"]
    candles: Annotated[int, "missing candles"]


class Market(TypedDict):
    """The file of one symbol. Times refer to the whole file, counts and gaps to the added candles."""

    symbol: str
    path: str
    added: Annotated[int, "new candles"]
    first: Annotated[str | None, "open time of the first candle, UTC"]
    last: Annotated[str | None, "open time of the last candle, UTC"]
    missing: Annotated[int, "candles that the exchange does not have"]
    gaps: list[Gap]


class FailedSymbol(TypedDict):
    """A symbol that could not be fetched."""

    symbol: str
    error: str
    exit_code: int


class ExtractDocument(TypedDict):
    """The fetched candles; complete also if some symbols failed."""

    exchange: str
    interval: str
    markets: list[Market]
    failed: list[FailedSymbol]


def extract_data(
    exchange: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=CANDLES,
            help=f"Exchange: {', '.join(SOURCES)}. {config_key('extract.exchange')}",
        ),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SYMBOL",
            rich_help_panel=CANDLES,
            help=f"Market, such as BTC/USDT; repeatable. {config_key('extract.symbols')}",
        ),
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option(
            metavar="INTERVAL",
            rich_help_panel=CANDLES,
            help=f"Candle interval, such as 1m, 15m, 1h or 1d. {config_key('extract.interval')}",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            rich_help_panel=CANDLES,
            help=f"First candle of a new file, UTC, such as 2019-01-01. {config_key('extract.since')}",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            rich_help_panel=CANDLES,
            show_default="now",
            help="Fetch only candles that open before this time, UTC.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            rich_help_panel=OUTPUT,
            show_default="data/raw",
            help="Output folder, or a .csv or .csv.gz file.",
        ),
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[ExtractDocument]:
    """Fetch candles from an exchange.

    Writes one file per symbol and appends to existing files. No API key is needed.

    Example: cryptoml extract-data --symbol ETH/USDT --since 2019-01-01
    """
    from cryptoml.cli.console import listening, print_result_lines
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.result import Failure
    from cryptoml.workflows.extract_data import ExtractRequest, extract

    settings, loaded = load_project_config(config, set_)
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
    return Outcome(
        _document(result),
        lambda: print_result_lines([str(market.path) for market in result.markets if market.last]),
        Failure.of(result.error) if result.error else None,
    )


def _document(result: ExtractResult) -> ExtractDocument:
    return {
        "exchange": result.exchange,
        "interval": result.interval,
        "markets": [
            {
                "symbol": market.symbol,
                "path": str(market.path),
                "added": market.added,
                "first": market.first,
                "last": market.last,
                "missing": market.missing,
                "gaps": [{"after": after, "candles": candles} for after, candles in market.gaps],
            }
            for market in result.markets
        ],
        "failed": [
            {"symbol": market.symbol, "error": str(market.error), "exit_code": market.error.exit_code}
            for market in result.failed
        ],
    }
