"""Score logged forecasts with known outcomes, compared with persistence and with the hold-out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.config.schema import Config
from cryptoml.data.project_files import find_data, read_any
from cryptoml.errors import DataError, UsageError
from cryptoml.registry.champion import check_candles, grid_for
from cryptoml.registry.version_models import load, resolve_model
from cryptoml.settings import Settings
from cryptoml.system.plurals import counted
from cryptoml.tracking.forecast_log import log_name, open_forecast_log
from cryptoml.tracking.runs import get_run
from cryptoml.tracking.store.project_store import READ, open_project_store
from cryptoml.workflows.market_models import model_name_for_candles
from cryptoml.workflows.training.horizons import prefix

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.models.forecaster import Forecaster

# Intervals are called too narrow or too wide if coverage as far from nominal has a probability below this by chance.
COVERAGE_LEVEL = 0.01


@dataclass(frozen=True)
class MonitorRequest:
    """The model to monitor and the candles with the outcomes. last: score only the `last` latest forecasts.

    horizon: of the forecasts to score, in candles; None: the model's first.
    """

    settings: Settings
    config: Config
    model: str = "production"
    data: Path | None = None
    last: int | None = None
    horizon: int | None = None


@dataclass(frozen=True)
class Drift:
    """A drifted feature. shift: change of its mean since training, in training standard deviations."""

    feature: str
    shift: float


@dataclass(frozen=True)
class MonitorResult:
    """Accuracy of the scored forecasts. RMSE in price units; covered is a share of the scored forecasts.

    word: beats, ties or worse (compared with persistence), or unknown below the minimum number of forecasts.
    promised_skill: skill on the hold-out. coverage_p_value: Kupiec's test that the coverage is nominal, on every
    horizon-th forecast. waiting: logged forecasts without an outcome in the candles. late: forecasts
    logged after their outcome was known. drift: None for a model without a scaler.
    """

    model: str
    version: str | None
    run_id: str
    source: str
    scored: int
    waiting: int
    late: int
    start: str
    end: str
    rmse: float
    baseline_rmse: float
    skill: float
    promised_skill: float
    word: str
    p_value: float
    covered: float
    coverage_p_value: float
    interval_level: float
    drift: tuple[Drift, ...] | None
    warnings: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """6 if the model is significantly worse than persistence, else 0."""
        return 6 if self.word == "worse" else 0

    def to_dict(self) -> dict[str, Any]:
        """The `result` of --json."""
        drift = None if self.drift is None else [vars(one) for one in self.drift]
        return {**vars(self), "drift": drift, "warnings": list(self.warnings)}


def monitor(request: MonitorRequest) -> MonitorResult:
    """Score the forecasts of `predict --log`. Raise UsageError if none is logged, DataError if no outcome is known."""
    settings, config = request.settings, request.config
    source = request.data or find_data(settings.project_dir)
    candles = read_any(source, config)
    with open_project_store(settings, READ) as store:
        name = model_name_for_candles(store, config, candles, reference=request.model)
        chosen = resolve_model(store, name, settings.experiment_name, request.model)
        main = load(store, settings, chosen)
        metrics = get_run(store, chosen.run_id).metrics
    forecaster = _at_horizon(main, request.horizon, chosen.label)
    is_further = forecaster.horizon != main.horizon
    promised = metrics.get(f"{prefix(forecaster.horizon) if is_further else ''}skill", math.nan)
    check_candles(candles, forecaster, chosen.label)
    market = candles.symbol if forecaster.is_pooled else None
    with open_forecast_log(
        settings,
        log_name(name, market=market, horizon=forecaster.horizon if is_further else None),
    ) as log:
        logged = log.read(chosen.run_id)
    if logged.empty:
        raise UsageError(
            f"no logged forecasts of {chosen.label}.", hint=f"cryptoml predict --model {chosen.label} --log"
        )
    grid = grid_for(candles, forecaster)
    scored = _with_outcome(logged, grid["close"], candles.interval.timedelta)
    if scored.empty:
        raise DataError(
            f"{source.name}: contains no outcome of the {counted(len(logged), 'logged forecast')}.",
            hint="fetch newer candles with cryptoml extract-data, or pass them with --data",
        )
    waiting = len(logged) - len(scored)
    if request.last is not None:
        scored = scored.tail(request.last)
    return _score(request, forecaster, scored, grid, waiting=waiting, promised=promised, source=source,
                  label=chosen.label, version=chosen.version, run_id=chosen.run_id)  # fmt: skip


def _at_horizon(main: Forecaster, horizon: int | None, label: str) -> Forecaster:
    """Return the forecaster of a horizon; raise UsageError if the model has none."""
    found = main.by_horizon.get(main.horizon if horizon is None else horizon)
    if found is None:
        known = ", ".join(str(one) for one in main.by_horizon)
        raise UsageError(
            f"{label} does not forecast {horizon} candles ahead, but {known}.", hint=f"--horizon {main.horizon}"
        )
    return found


def _with_outcome(logged: pd.DataFrame, close: pd.Series[float], step: pd.Timedelta) -> pd.DataFrame:
    """Return the forecasts with a known outcome, which is added as the column actual_price."""
    # The price at a time is the close of the candle that ends at that time.
    actual = close.reindex(logged["target"] - step)
    found = logged.assign(actual_price=actual.to_numpy())
    return found[found["actual_price"].notna()]


def _score(
    request: MonitorRequest,
    forecaster: Forecaster,
    scored: pd.DataFrame,
    grid: pd.DataFrame,
    *,
    waiting: int,
    promised: float,
    source: Path,
    label: str,
    version: str | None,
    run_id: str,
) -> MonitorResult:
    import numpy as np

    from cryptoml.evaluation.coverage import kupiec_p_value
    from cryptoml.evaluation.point_metrics import root_mean_square, skill_score
    from cryptoml.evaluation.significance import verdict

    actual, now = scored["actual_price"].to_numpy(), scored["price_now"].to_numpy()
    actual_return = np.log(actual / now)
    rmse = root_mean_square(actual - scored["forecast_price"].to_numpy())
    baseline = root_mean_square(actual - now)
    found = verdict(actual_return - scored["forecast_return"].to_numpy(), actual_return, forecaster.horizon,
                    level=request.config.training.significance_level)  # fmt: skip
    least = request.config.monitor.min_forecasts
    enough = len(scored) >= least
    level = float(scored["interval_level"].iloc[-1])
    late = int((scored["logged_at"] > scored["target"]).sum())
    # Over few candles, the mean of a calendar feature differs from its training mean without any drift.
    drift = _drift(forecaster, grid, scored.index, request.config.monitor.max_drift) if enough else ()
    inside = (actual >= scored["lower_price"].to_numpy()) & (actual <= scored["upper_price"].to_numpy())
    coverage_p = kupiec_p_value(inside[:: forecaster.horizon], level)
    covered = float(np.mean(inside))
    warnings = _warnings(
        len(scored), least, late=late, covered=covered, coverage_p=coverage_p, level=level, drift=drift
    )
    return MonitorResult(
        model=label,
        version=version,
        run_id=run_id,
        source=str(source),
        scored=len(scored),
        waiting=waiting,
        late=late,
        start=f"{scored.index[0]:%Y-%m-%d %H:%M}",
        end=f"{scored.index[-1]:%Y-%m-%d %H:%M}",
        rmse=rmse,
        baseline_rmse=baseline,
        skill=skill_score(rmse, baseline),
        promised_skill=promised,
        word=found.word if enough else "unknown",
        p_value=found.p_value,
        covered=covered,
        coverage_p_value=coverage_p,
        interval_level=level,
        drift=drift,
        warnings=warnings,
    )


def _warnings(
    scored: int,
    least: int,
    *,
    late: int,
    covered: float,
    coverage_p: float,
    level: float,
    drift: Sequence[Drift] | None,
) -> tuple[str, ...]:
    warnings = []
    if scored < least:
        warnings.append(f"{counted(scored, 'forecast')} scored; a verdict needs at least {least:,}")
    if late:
        warnings.append(f"{late:,} of {scored:,} forecasts were logged after their outcome was known")
    if scored >= least and coverage_p < COVERAGE_LEVEL:
        word = "narrow" if covered < level else "wide"
        warnings.append(
            f"prediction intervals are too {word}: coverage {covered:.1%}, nominal {level:.0%} (p = {coverage_p:.2g})"
        )
    if drift:
        worst = ", ".join(f"{one.feature} {one.shift:+.1f}" for one in drift[:3])
        warnings.append(f"drifted features: {len(drift)} (shift in training standard deviations: {worst})")
    return tuple(warnings)


def _drift(forecaster: Forecaster, grid: pd.DataFrame, made_from: pd.Index, most: float) -> tuple[Drift, ...] | None:
    """Return the features whose mean moved by more than `most` training standard deviations, largest shift first."""
    import numpy as np

    scaler = forecaster.scaler
    if scaler is None:
        return None
    features = forecaster.pipeline.transform(grid)
    seen = features.loc[features.index.isin(made_from)].dropna()
    if seen.empty:
        return ()
    shift = (seen.mean().to_numpy() - scaler.mean_) / scaler.scale_
    order = np.argsort(-np.abs(shift))
    names = list(features.columns)
    return tuple(Drift(names[place], float(shift[place])) for place in order if abs(shift[place]) > most)
