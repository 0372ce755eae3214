"""Forecasts from a registered model: of the next candle, or of many candles at once."""

from __future__ import annotations

from dataclasses import dataclass
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
from cryptoml.tracking.forecast_log import ForecastLog, open_forecast_log
from cryptoml.tracking.store.project_store import READ, open_project_store

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.data.candles import Candles
    from cryptoml.models.forecaster import Forecaster


@dataclass(frozen=True)
class PredictRequest:
    """Which model on which candles. last: how many of the newest candles to forecast from."""

    settings: Settings
    config: Config
    model: str = "production"
    data: Path | None = None
    last: int = 1
    stale_ok: bool = False
    log: bool = False
    now: datetime | None = None


def predict(request: PredictRequest) -> Prediction:
    """Forecast from the newest candles; raises DataError for stale or too few ones, CheckFailedError for others'."""
    settings, config = request.settings, request.config
    if request.last < 1:
        raise UsageError(f"--last {request.last}: there is nothing to forecast.", hint="ask for 1 or more")
    with open_project_store(settings, READ) as store:
        chosen = resolve_model(store, config.registry.model_name, settings.experiment_name, request.model)
        forecaster = load(store, settings, chosen)
    source = request.data or find_data(settings.project_dir)
    candles = read_any(source, config)
    check_candles(candles, forecaster, chosen.label)
    if not request.stale_ok:
        check_age(candles, config.prediction.max_age_intervals, request.now or datetime.now(UTC))
    table = forecasts(forecaster, candles, last=request.last)
    asked = min(request.last, len(candles.frame))
    if table.empty:
        raise DataError(
            f"{source.name}: the newest {asked:,} candles give no forecast: there is a break in the "
            f"{forecaster.pipeline.warmup_candles} candles that each needs.",
            hint="fill the gap (cryptoml extract-data), or ask for more with --last",
        )
    done = Prediction(
        model=chosen.label,
        version=chosen.version,
        run_id=chosen.run_id,
        symbol=forecaster.symbol,
        interval=forecaster.pipeline.interval,
        horizon=forecaster.horizon,
        interval_level=forecaster.interval_level,
        source=str(source),
        table=table,
        skipped=asked - len(table),
        logged=None,
    )
    if not request.log:
        return done
    with open_forecast_log(settings, config.registry.model_name) as log:
        return _logged(done, log)


def forecasts(forecaster: Forecaster, candles: Candles, *, last: int) -> pd.DataFrame:
    """Forecasts from each of the newest `last` candles that can give one; columns as in `Prediction.table`."""
    import numpy as np
    import pandas as pd

    # Features of a row depend on the warm-up before it alone; gaps that are filled need more rows, never fewer.
    kept = candles.frame.iloc[-(last + forecaster.pipeline.warmup_candles - 1) :]
    asked = candles.frame.index[-last:]
    grid = grid_for(candles, forecaster, kept)
    newest = len(grid) - int(grid.index.searchsorted(asked[0]))
    found = forecaster.forecast(grid, newest=newest)
    index, step = pd.DatetimeIndex(found.index), candles.interval.timedelta
    columns: dict[str, object] = {
        "made_at": index + step,
        "target_time": index + step * (1 + forecaster.horizon),
        "price_now": grid["close"].to_numpy()[-newest:],
    }
    columns.update((str(name), found[name].to_numpy()) for name in found.columns)
    # One table made at once: columns put in one by one would take longer than the forecast.
    table = pd.DataFrame(columns, index=index)
    known = np.isfinite(table["forecast_return"].to_numpy())
    if len(index) > len(asked):
        known &= index.isin(asked)
    return table if known.all() else table[known]


def check_age(candles: Candles, most: int, now: datetime) -> None:
    """Raise DataError when the newest candle ended more than `most` candles ago."""
    import pandas as pd

    from cryptoml.data.cleaning.gates import age_in_intervals

    newest = candles.frame.index[-1]
    age = age_in_intervals(newest, candles.interval.timedelta, now=pd.Timestamp(now))
    if age > most:
        ended = newest + candles.interval.timedelta
        raise DataError(
            f"{candles.report.source}: the newest candle ended {ended:%Y-%m-%d %H:%M} UTC, {age:,.0f} candles ago; "
            f"a forecast from candles of {candles.interval.label} may be {most} behind.",
            hint="fetch newer ones (cryptoml extract-data), or --stale-ok to forecast the past",
        )


def _logged(done: Prediction, log: ForecastLog) -> Prediction:
    from dataclasses import replace

    return replace(done, logged=log.append(done))
