"""`cryptoml predict`: what the next candle's close will be, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson, ConfigFile, Overrides

if TYPE_CHECKING:
    from cryptoml.models.prediction import Prediction

SHOWN = 10


def predict(
    model: Annotated[
        str, typer.Option(help="production, staging, v3, or a run's id or name.", show_default=True)
    ] = "production",
    data: Annotated[Path | None, typer.Option(help="Candles; the newest file below data/ when not given.")] = None,
    last: Annotated[int, typer.Option(help="Forecast from each of so many newest candles.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Write the forecasts to this file: .csv, .csv.gz or .parquet.")
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Keep the forecasts for cryptoml monitor.")] = False,
    stale_ok: Annotated[bool, typer.Option("--stale-ok", help="Forecast from old candles too.")] = False,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Forecast with a registered model from the newest candles, which must be fresh, whole and of its market."""
    from cryptoml.cli.configured import configured
    from cryptoml.cli.console import print_json_last
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
    if as_json:
        print_json_last(done.to_dict())
    else:
        _show(done, out)


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
