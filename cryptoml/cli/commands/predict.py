"""`cryptoml predict`: what the next candle's close will be, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import DATA, NEWEST_DATA, OUTPUT, ConfigFile, Overrides
from cryptoml.cli.outcome import Outcome

if TYPE_CHECKING:
    from cryptoml.models.prediction import Prediction

SHOWN = 10


class Forecast(TypedDict):
    """The forecast made at the close of one candle. Prices are in the quote currency, times ISO, UTC."""

    timestamp: Annotated[str, "open time of the candle"]
    made_at: Annotated[str, "its close"]
    target_time: Annotated[str, "the close that is forecast"]
    price_now: float
    forecast_return: Annotated[float, "log return"]
    forecast_price: float
    lower_price: Annotated[float, "of the prediction interval"]
    upper_price: Annotated[float, "of the prediction interval"]


class PredictDocument(TypedDict):
    """Forecasts of one model."""

    model: Annotated[str, "the model asked for, and what it is"]
    version: Annotated[str | None, "null for a run that is not registered"]
    run_id: str
    symbol: str
    interval: Annotated[str, "candle interval"]
    horizon: Annotated[int, "candles ahead"]
    interval_level: Annotated[float, "share of outcomes that the prediction interval should cover"]
    data: Annotated[str, "file of candles"]
    skipped: Annotated[int, "candles that give no forecast"]
    logged: Annotated[int | None, "forecasts that are new in the log; null without `--log`"]
    forecasts: Annotated[list[Forecast], "oldest first"]


def predict(
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL", rich_help_panel="Model", help="production, staging, a version such as v3, or a run."
        ),
    ] = "production",
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=DATA, show_default=NEWEST_DATA, help="Candles."),
    ] = None,
    last: Annotated[
        int, typer.Option(metavar="N", rich_help_panel=DATA, help="Forecast from each of the N latest candles.")
    ] = 1,
    stale_ok: Annotated[
        bool, typer.Option("--stale-ok", rich_help_panel=DATA, help="Forecast from outdated candles too.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=OUTPUT, help="Write the forecasts to a .csv, .csv.gz or .parquet file."
        ),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", rich_help_panel=OUTPUT, help="Log the forecasts for cryptoml monitor.")
    ] = False,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[PredictDocument]:
    """Forecast from the latest candles.

    Candles must be recent, complete and for the same symbol and interval as the model.

    Example: cryptoml predict --last 48 --stale-ok --log
    """
    from cryptoml.cli.configured import configured
    from cryptoml.data.table_files import check_table_path, write_table
    from cryptoml.workflows.predict import PredictRequest
    from cryptoml.workflows.predict import predict as forecast

    if out is not None:
        check_table_path(out)
    settings, loaded = configured(config, set_)
    done = forecast(
        PredictRequest(settings, loaded.config, model=model, data=data, last=last, stale_ok=stale_ok, log=log)
    )
    if out is not None:
        write_table(done.table.reset_index(), out)
    return Outcome(done.to_dict(), lambda: _show(done, out))


def _show(done: Prediction, out: Path | None) -> None:
    from cryptoml.cli.console import print_lines, print_result_lines, print_table
    from cryptoml.evaluation.figures import price

    rows = [
        [
            f"{row['made_at']:%Y-%m-%d %H:%M}",
            f"{row['target_time']:%Y-%m-%d %H:%M}",
            price(row["price_now"]),
            price(row["forecast_price"]),
            f"{100 * row['forecast_return']:+.4f}",
            price(row["lower_price"]),
            price(row["upper_price"]),
        ]
        for row in done.table.tail(SHOWN).to_dict("records")
    ]
    level = f"{100 * done.interval_level:g} %"
    print_table(
        ("made at (UTC)", "for (UTC)", "price then", "forecast", "return %", f"{level} from", f"{level} to"),
        rows,
        title=f"{done.symbol} {done.interval} by {done.model}",
        left=2,
    )
    lines = []
    if len(done.table) > SHOWN:
        lines.append(f"the newest {SHOWN} of {len(done.table):,} forecasts")
    if done.skipped:
        lines.append(f"{done.skipped:,} candles give no forecast: they touch a break, or come too early in the file")
    if done.logged is not None:
        lines.append(f"{done.logged:,} forecasts are new in the log; cryptoml monitor scores them")
    print_lines(lines)
    if out is not None:
        print_result_lines([str(out)])
