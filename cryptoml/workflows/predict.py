"""Forecast with a registered model, from the latest candle or from several candles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.config.schema import Config
from cryptoml.data.project_files import find_data, read_any
from cryptoml.errors import DataError, UsageError
from cryptoml.models.prediction import Prediction
from cryptoml.registry.champion import check_candles, grid_for
from cryptoml.registry.version_models import load, resolve_model
from cryptoml.settings import Settings
from cryptoml.system.plurals import counted
from cryptoml.tracking.forecast_log import log_name, open_forecast_log
from cryptoml.tracking.store.project_store import READ, open_project_store
from cryptoml.workflows.market_models import model_name_for_candles

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.data.candles import Candles
    from cryptoml.models.forecaster import Forecaster


@dataclass(frozen=True)
class PredictRequest:
    """The model and the candles. last: number of latest candles to forecast from. now: replaces the clock.

    move: share of the price; the probabilities of a rise and a fall by more than it are added.
    """

    settings: Settings
    config: Config
    model: str = "production"
    data: Path | None = None
    last: int = 1
    stale_ok: bool = False
    log: bool = False
    move: float | None = None
    now: datetime | None = None


def predict(request: PredictRequest) -> Prediction:
    """Forecast from the latest candles.

    Raise DataError for stale or too few candles, CheckFailedError for candles of another symbol or interval.
    """
    settings, config = request.settings, request.config
    if request.last < 1:
        raise UsageError(f"--last {request.last}: must be at least 1.", hint="--last 1")
    if request.move is not None and not 0 < request.move < 1:
        raise UsageError(
            f"--move {100 * request.move:g}: must be above 0 and below 100 percent.", hint="use --move 2, for 2 %"
        )
    with open_project_store(settings, READ) as store:
        source = request.data or find_data(settings.project_dir)
        candles = read_any(source, config)
        name = model_name_for_candles(store, config, candles, reference=request.model)
        chosen = resolve_model(store, name, settings.experiment_name, request.model)
        forecaster = load(store, settings, chosen)
    check_candles(candles, forecaster, chosen.label)
    if not request.stale_ok:
        check_age(candles, config.prediction.max_age_intervals, request.now or datetime.now(UTC))
    table = forecasts(forecaster, candles, last=request.last, move=request.move)
    made = table.index.nunique()
    asked = min(request.last, len(candles.frame))
    if table.empty:
        raise DataError(
            f"{source.name}: no forecast from the latest {counted(asked, 'candle')}: there is a gap in the "
            f"{forecaster.pipeline.warmup_candles} candles of warm-up.",
            hint="fill the gap with cryptoml extract-data, or use more candles with --last",
        )
    done = Prediction(
        model=chosen.label,
        version=chosen.version,
        run_id=chosen.run_id,
        symbol=candles.symbol if forecaster.is_pooled else forecaster.symbol,
        is_new_market=forecaster.is_pooled and candles.symbol not in forecaster.markets,
        interval=forecaster.pipeline.interval,
        horizon=forecaster.horizon,
        interval_level=forecaster.interval_level,
        source=str(source),
        table=table,
        skipped=asked - made,
        logged=None,
    )
    if not request.log:
        return done
    market = candles.symbol if forecaster.is_pooled else None
    logged = 0
    for horizon in forecaster.by_horizon:
        log_file = log_name(name, market=market, horizon=None if horizon == forecaster.horizon else horizon)
        part = replace(done, table=table[table["horizon"] == horizon], horizon=horizon)
        with open_forecast_log(settings, log_file) as log:
            logged += log.append(part)
    return replace(done, logged=logged)


def forecasts(forecaster: Forecaster, candles: Candles, *, last: int, move: float | None = None) -> pd.DataFrame:
    """Forecast from each of the `last` latest candles with complete features; columns as in `Prediction.table`."""
    import pandas as pd

    # A forecast depends on no earlier candles; filling gaps adds rows and never removes any.
    kept = candles.frame.iloc[-(last + forecaster.useful_candles - 1) :]
    asked = candles.frame.index[-last:]
    grid = grid_for(candles, forecaster, kept)
    newest = len(grid) - int(grid.index.searchsorted(asked[0]))
    found = [_of_horizon(one, grid, candles, newest, move) for one in forecaster.by_horizon.values()]
    table = found[0] if len(found) == 1 else pd.concat(found).sort_values(["made_at", "horizon"], kind="stable")
    known = table["forecast_return"].notna().to_numpy()
    if newest > len(asked):
        known &= table.index.isin(asked)
    return table if known.all() else table[known]


def _of_horizon(
    forecaster: Forecaster, grid: pd.DataFrame, candles: Candles, newest: int, move: float | None
) -> pd.DataFrame:
    import pandas as pd

    found = forecaster.forecast(grid, newest=newest, symbol=candles.symbol, move=move)
    index, step = pd.DatetimeIndex(found.index), candles.interval.timedelta
    columns: dict[str, object] = {
        "horizon": forecaster.horizon,
        "made_at": index + step,
        "target_time": index + step * (1 + forecaster.horizon),
        "price_now": grid["close"].to_numpy()[-newest:],
    }
    columns.update((str(name), found[name].to_numpy()) for name in found.columns)
    # Adding columns one by one would take longer than the forecast.
    return pd.DataFrame(columns, index=index)


def check_age(candles: Candles, most: int, now: datetime) -> None:
    """Raise DataError if the latest candle ended more than `most` candles ago."""
    import pandas as pd

    from cryptoml.data.cleaning.gates import age_in_intervals

    newest = candles.frame.index[-1]
    age = age_in_intervals(newest, candles.interval.timedelta, now=pd.Timestamp(now))
    if age > most:
        ended = newest + candles.interval.timedelta
        raise DataError(
            f"{candles.report.source}: the latest candle ended {ended:%Y-%m-%d %H:%M} UTC, {age:,.0f} candles ago; "
            f"at most {counted(most, 'candle')} of {candles.interval.label} are allowed.",
            hint="fetch newer candles with cryptoml extract-data, or allow stale ones with --stale-ok",
        )
