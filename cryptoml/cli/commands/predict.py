"""`cryptoml predict`: forecast the close of the next candles, with prediction intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import DATA, NEWEST_DATA, OUTPUT, ConfigFile, Overrides
from cryptoml.cli.outcome import Outcome

if TYPE_CHECKING:
    from cryptoml.models.prediction import Prediction

SHOWN = 10


class PriceInterval(TypedDict):
    """A prediction interval."""

    level: Annotated[float, "nominal coverage"]
    lower: float
    upper: float


class Forecast(TypedDict):
    """A forecast made at the close of one candle. Prices are in the quote currency; times are ISO, UTC."""

    timestamp: Annotated[str, "open time of the candle"]
    horizon: Annotated[int, "candles ahead"]
    made_at: Annotated[str, "close time of the candle"]
    target_time: Annotated[str, "time of the forecast close"]
    price_now: float
    forecast_return: Annotated[float, "log return"]
    forecast_price: float
    lower_price: Annotated[float, "of the prediction interval"]
    upper_price: Annotated[float, "of the prediction interval"]
    probability_up: Annotated[float | None, "of a higher close at the target time; null for models without it"]
    probability_rise: Annotated[float | None, "of a rise by more than `--move`; null without it"]
    probability_fall: Annotated[float | None, "of a fall by more than `--move`; null without it"]
    intervals: Annotated[list[PriceInterval], "by ascending level"]


class PredictDocument(TypedDict):
    """Forecasts of one model."""

    model: Annotated[str, "the requested model and its version or run"]
    version: Annotated[str | None, "null for a run that is not registered"]
    run_id: str
    symbol: str
    interval: Annotated[str, "candle interval"]
    horizon: Annotated[int, "candles ahead; the first, if the model has several"]
    interval_level: Annotated[float, "nominal coverage of the prediction interval"]
    data: Annotated[str, "candle file"]
    new_market: Annotated[bool, "whether a pooled model was trained without this market"]
    skipped: Annotated[int, "candles without a forecast"]
    logged: Annotated[int | None, "forecasts added to the log; null without `--log`"]
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
        typer.Option(metavar="FILE", rich_help_panel=DATA, show_default=NEWEST_DATA, help="Raw candles."),
    ] = None,
    last: Annotated[
        int, typer.Option(metavar="N", rich_help_panel=DATA, help="Forecast from each of the N latest candles.")
    ] = 1,
    stale_ok: Annotated[bool, typer.Option("--stale-ok", rich_help_panel=DATA, help="Allow outdated candles.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=OUTPUT, help="Write the forecasts to a .csv, .csv.gz or .parquet file."
        ),
    ] = None,
    move: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            rich_help_panel="Model",
            show_default="none",
            help="Add the probabilities of a rise and of a fall by more than PERCENT.",
        ),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", rich_help_panel=OUTPUT, help="Log the forecasts for cryptoml monitor.")
    ] = False,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[PredictDocument]:
    """Forecast from the latest candles.

    The candles must be recent, complete and for the symbol and interval of the model.

    Example: cryptoml predict --last 48 --stale-ok --log
    """
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.data.table_files import check_table_path, write_table
    from cryptoml.workflows.predict import PredictRequest
    from cryptoml.workflows.predict import predict as make_forecasts

    if out is not None:
        check_table_path(out)
    settings, loaded = load_project_config(config, set_)
    result = make_forecasts(
        PredictRequest(
            settings,
            loaded.config,
            model=model,
            data=data,
            last=last,
            stale_ok=stale_ok,
            log=log,
            move=None if move is None else move / 100,
        )
    )
    if out is not None:
        write_table(result.table.reset_index(), out)
    return Outcome(result.to_dict(), lambda: _show(result, out))


def _show(result: Prediction, out: Path | None) -> None:
    from cryptoml.cli.console import print_lines, print_result_lines, print_table
    from cryptoml.evaluation.figures import cell, price
    from cryptoml.models.interval import FALL, RISE, UP
    from cryptoml.system.plurals import counted

    titles = {UP: "up %", RISE: "rise %", FALL: "fall %"}
    shown = [name for name in titles if name in result.table]
    rows = [
        [
            f"{row['made_at']:%Y-%m-%d %H:%M}",
            f"{row['target_time']:%Y-%m-%d %H:%M}",
            price(row["price_now"]),
            price(row["forecast_price"]),
            f"{100 * row['forecast_return']:+.4f}",
            price(row["lower_price"]),
            price(row["upper_price"]),
            *(cell(100 * row[name], ".0f") for name in shown),
        ]
        for row in result.table.tail(SHOWN).to_dict("records")
    ]
    level = f"{100 * result.interval_level:g} %"
    print_table(
        (
            "made at (UTC)",
            "for (UTC)",
            "price",
            "forecast",
            "return %",
            f"{level} from",
            f"{level} to",
            *(titles[name] for name in shown),
        ),
        rows,
        title=f"{result.symbol} {result.interval}, model {result.model}",
        left=2,
    )
    lines = []
    if result.is_new_market:
        lines.append(
            f"note: {result.model} was trained without {result.symbol}; the interval is that of all its markets"
        )
    if len(result.table) > SHOWN:
        lines.append(f"the {SHOWN} latest of {len(result.table):,} forecasts")
    if result.skipped:
        lines.append(f"{counted(result.skipped, 'candle')} without a forecast: near a gap or the start of the file")
    if result.logged is not None:
        lines.append(f"{counted(result.logged, 'forecast')} added to the log; score them with: cryptoml monitor")
    print_lines(lines)
    if out is not None:
        print_result_lines([str(out)])
