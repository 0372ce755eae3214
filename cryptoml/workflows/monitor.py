"""Score logged forecasts with known outcomes, compared with persistence and with the hold-out."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.config.schema import Config, MonitorSection
from cryptoml.data.project_files import find_data, read_any
from cryptoml.errors import DataError, UsageError
from cryptoml.evaluation.logged_forecasts import LoggedScores, score_logged
from cryptoml.registry.champion import check_candles, grid_for
from cryptoml.registry.ledger import Entry, Ledger
from cryptoml.registry.transitions import ledger_entries
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

    from cryptoml.data.candles import Candles
    from cryptoml.models.forecaster import Forecaster

# Intervals are called too narrow or too wide if coverage as far from nominal has a probability below this by chance.
COVERAGE_LEVEL = 0.01


@dataclass(frozen=True)
class MonitorRequest:
    """The model to monitor and the candles with the outcomes. last: score only the `last` latest forecasts.

    horizon: of the forecasts to score, in candles; None: the model's first. with_history: also score the other
    versions of the registered model.
    """

    settings: Settings
    config: Config
    model: str = "production"
    data: Path | None = None
    last: int | None = None
    horizon: int | None = None
    with_history: bool = False


@dataclass(frozen=True)
class Drift:
    """A drifted feature. shift: change of its mean since training, in training standard deviations."""

    feature: str
    shift: float


@dataclass(frozen=True)
class History:
    """The scored forecasts of all versions. rows: as in the forecast log, with actual_price and label, by time.

    by_version: label of a version -> its scores, in the order of their first forecasts. ledger: oldest first.
    """

    rows: pd.DataFrame
    by_version: Mapping[str, LoggedScores]
    ledger: tuple[Entry, ...]


@dataclass(frozen=True)
class MonitorResult:
    """Accuracy of the scored forecasts. `word` of the scores is unknown below the minimum number of forecasts.

    promised_skill: skill on the hold-out. volatility_ratio: size of the returns now as a multiple of that on the
    hold-out, with its standard error; NaN if unknown. waiting: logged forecasts without an outcome in the candles.
    late: forecasts logged after their outcome was known. drift: None for a model without a scaler. next_steps: what to
    do, with commands.
    """

    model: str
    version: str | None
    run_id: str
    source: str
    scores: LoggedScores
    word: str
    promised_skill: float
    volatility_ratio: float
    volatility_ratio_error: float
    waiting: int
    late: int
    drift: tuple[Drift, ...] | None
    warnings: tuple[str, ...]
    next_steps: tuple[str, ...]
    history: History | None = field(default=None, repr=False)

    @property
    def exit_code(self) -> int:
        """6 if the model is significantly worse than persistence, else 0."""
        return 6 if self.word == "worse" else 0

    def to_dict(self) -> dict[str, Any]:
        """The `result` of --json."""
        scores = {name: value for name, value in vars(self.scores).items() if name not in ("n", "word")}
        names = [one.name for one in fields(self) if one.name not in ("scores", "history", "drift")]
        return {
            **scores,
            **{name: getattr(self, name) for name in names},
            "scored": self.scores.n,
            "drift": None if self.drift is None else [vars(one) for one in self.drift],
            "warnings": list(self.warnings),
            "next_steps": list(self.next_steps),
        }


def monitor(request: MonitorRequest) -> MonitorResult:
    """Score the forecasts of `predict --log`. Raise UsageError if none is logged, DataError if no outcome is known."""
    settings, config = request.settings, request.config
    with open_project_store(settings, READ) as store:
        source = request.data or find_data(settings.project_dir)
        candles = read_any(source, config)
        name = model_name_for_candles(store, config, candles, reference=request.model)
        chosen = resolve_model(store, name, settings.experiment_name, request.model)
        main = load(store, settings, chosen)
        metrics = get_run(store, chosen.run_id).metrics
        ledger = ledger_entries(store, name)
    forecaster = _at_horizon(main, request.horizon, chosen.label)
    is_further = forecaster.horizon != main.horizon
    check_candles(candles, forecaster, chosen.label)
    market = candles.symbol if forecaster.is_pooled else None
    log_file = log_name(name, market=market, horizon=forecaster.horizon if is_further else None)
    with open_forecast_log(settings, log_file) as log:
        of_all = log.read()
    logged = of_all[of_all["run_id"] == chosen.run_id]
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
    level = config.training.significance_level
    scores = score_logged(scored, forecaster.horizon, level=level)
    enough = scores.n >= config.monitor.min_forecasts
    start = prefix(forecaster.horizon) if is_further else ""
    # The error of a forecast is nearly the return itself.
    usual = metrics.get(f"{start}return_rmse", math.nan)
    # Over few candles, the mean of a calendar feature differs from its training mean without any drift.
    drift = _drift(forecaster, grid, scored.index, config.monitor.max_drift) if enough else ()
    late = int((scored["logged_at"] > scored["target"]).sum())
    word = str(scores.word) if enough else "unknown"
    ratio = scores.return_rms / usual if usual > 0 else math.nan
    return MonitorResult(
        model=chosen.label,
        version=chosen.version,
        run_id=chosen.run_id,
        source=str(source),
        scores=scores,
        word=word,
        promised_skill=metrics.get(f"{start}skill", math.nan),
        volatility_ratio=ratio,
        volatility_ratio_error=scores.return_rms_error / usual if usual > 0 else math.nan,
        waiting=waiting,
        late=late,
        drift=drift,
        warnings=_warnings(scores, config.monitor, late=late, ratio=ratio, drift=drift),
        next_steps=_next_steps(chosen.version, ledger, source, settings.project_dir) if word == "worse" else (),
        history=_history(of_all, ledger, grid, candles, forecaster.horizon, level) if request.with_history else None,
    )


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


def _history(
    logged: pd.DataFrame, ledger: tuple[Entry, ...], grid: pd.DataFrame, candles: Candles, horizon: int, level: float
) -> History:
    rows = _with_outcome(logged, grid["close"], candles.interval.timedelta)
    names = [
        f"v{version}" if version else run[:8] for version, run in zip(rows["version"], rows["run_id"], strict=True)
    ]
    rows = rows.assign(label=names)
    by_version = {
        str(label): score_logged(part, horizon, level=level) for label, part in rows.groupby("label", sort=False)
    }
    return History(rows, by_version, ledger)


def _next_steps(version: str | None, ledger: tuple[Entry, ...], source: Path, project: Path) -> tuple[str, ...]:
    """Return what to do about a model that is worse than persistence."""
    data = source.relative_to(project) if source.is_relative_to(project) else source
    steps = [f"train on newer candles: cryptoml train --data {shlex.quote(str(data))}"]
    earlier = Ledger(ledger, done=0, faults=()).before_production(version)
    if version is not None and earlier is not None:
        steps.append(f"or go back to v{earlier}: cryptoml promote --rollback --reason 'v{version} is worse'")
    return tuple(steps)


def _warnings(
    scores: LoggedScores, limits: MonitorSection, *, late: int, ratio: float, drift: Sequence[Drift] | None
) -> tuple[str, ...]:
    enough, level = scores.n >= limits.min_forecasts, scores.interval_level
    warnings = []
    if not enough:
        warnings.append(f"{counted(scores.n, 'forecast')} scored; a verdict needs at least {limits.min_forecasts:,}")
    if late:
        warnings.append(f"{late:,} of {scores.n:,} forecasts were logged after their outcome was known")
    if enough and scores.coverage_p_value < COVERAGE_LEVEL:
        word = "narrow" if scores.covered < level else "wide"
        warnings.append(
            f"prediction intervals are too {word}: coverage {scores.covered:.1%}, nominal {level:.0%} "
            f"(p = {scores.coverage_p_value:.2g})"
        )
    if enough and (ratio > limits.max_volatility_ratio or ratio < 1 / limits.max_volatility_ratio):
        warnings.append(f"the volatility has changed: returns are {ratio:.2g} times as large as on the hold-out")
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
