"""Compare a candidate with the model in production on candles that neither was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptoml.config.schema import Config
from cryptoml.data.symbols import UNKNOWN
from cryptoml.errors import CheckFailedError, CryptomlError, DataError, UnavailableError
from cryptoml.registry.markets import market_of, name_among, names_of
from cryptoml.registry.version_models import load, ref_of_version
from cryptoml.registry.versions import production_version
from cryptoml.settings import Settings
from cryptoml.tracking.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.data.candles import Candles
    from cryptoml.models.forecaster import Forecaster
    from cryptoml.registry.duel import Duel
    from cryptoml.registry.gate import ChampionDuel


@dataclass(frozen=True)
class Comparison:
    """The duel with version `champion`; `note` is a sentence about why there is no duel or no decision.

    further: the duels at further horizons that both forecast, by horizon. is_other_market: whether the champion
    forecasts another market.
    """

    champion: str | None
    duel: Duel | None
    note: str = ""
    further: Mapping[int, Duel] = field(default_factory=dict)
    is_other_market: bool = False


def compare_with_champion(
    store: Store, settings: Settings, model_name: str, candidate: Forecaster, candles: Candles, *, least: int,
    level: float, candidate_version: str | None = None,
) -> Comparison:  # fmt: skip
    """Score both on the latest candles. No duel if there is no champion or it is `candidate_version` itself.

    least: the number of new candles needed for a decision.
    """
    from cryptoml.registry.duel import duel

    version = production_version(store, model_name)
    if version is None or version.version == candidate_version:
        return Comparison(None, None)
    try:
        champion = load(store, settings, ref_of_version(version))
    except CryptomlError as error:
        return Comparison(version.version, None, f"v{version.version} in production cannot be loaded: {error.fact}")
    if not market_of(candidate).is_same(market_of(champion)):
        return Comparison(
            version.version,
            None,
            f"v{version.version} in production forecasts {market_of(champion).title}; "
            f"the candidate forecasts {market_of(candidate).title}: not comparable",
            is_other_market=True,
        )
    grid = grid_for(candles, candidate)
    result = duel(candidate, champion, grid, least=least, level=level)
    theirs = champion.by_horizon
    further = {
        horizon: duel(ours, theirs[horizon], grid, least=least, level=level)
        for horizon, ours in candidate.by_horizon.items()
        if horizon != candidate.horizon and horizon in theirs
    }
    note = ""
    if not result.decided:
        note = (
            f"only {result.candidate.candles} candles are new to both the candidate and v{version.version}; "
            f"{least} are needed to compare them"
        )
    return Comparison(version.version, result, note, further)


def duel_for_gate(
    store: Store, settings: Settings, config: Config, candidate: Forecaster, candles: Candles
) -> tuple[ChampionDuel | None, str]:
    """Return the gate's duel with the champion, or None and the reason; also if the store is unavailable."""
    from cryptoml.registry.gate import ChampionDuel

    try:
        pattern, market = config.registry.model_name, market_of(candidate)
        names = names_of(store, pattern)
        name = name_among(store, names, pattern, market)
        if name not in {one.name for one in names}:
            return None, ""
        comparison = compare_with_champion(
            store, settings, name, candidate, candles,
            least=config.promotion.min_candles, level=config.training.significance_level,
        )  # fmt: skip
    except UnavailableError as error:
        return None, f"not compared with the version in production: {error.fact}"
    if comparison.duel is None or not comparison.duel.decided:
        return None, comparison.note
    duel = comparison.duel
    return ChampionDuel(str(comparison.champion), duel.candidate.rmse, duel.champion.rmse, duel.p_value), ""


def grid_for(candles: Candles, forecaster: Forecaster, part: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the candles, or a part of them, on their time grid, as the model's features require."""
    from cryptoml.data.grid import to_grid

    frame = candles.frame if part is None else part
    return to_grid(frame, candles.interval, max_no_trade_candles=forecaster.max_no_trade_candles)


def check_candles(candles: Candles, forecaster: Forecaster, label: str) -> None:
    """Raise CheckFailedError for candles of another symbol or interval, DataError for too few candles."""
    if (
        not forecaster.is_pooled
        and candles.symbol != forecaster.symbol
        and UNKNOWN not in (candles.symbol, forecaster.symbol)
    ):
        raise CheckFailedError(
            f"{candles.report.source}: contains {candles.symbol} candles; {label} forecasts {forecaster.symbol}.",
            hint=f"pass candles of {forecaster.symbol} with --data",
        )
    if candles.interval.label != forecaster.pipeline.interval:
        raise CheckFailedError(
            f"{candles.report.source}: contains {candles.interval.label} candles; {label} needs "
            f"{forecaster.pipeline.interval}.",
            hint=f"pass {forecaster.pipeline.interval} candles with --data",
        )
    if len(candles.frame) < forecaster.pipeline.warmup_candles:
        raise DataError(
            f"{candles.report.source}: contains {len(candles.frame):,} candles; the features of {label} need "
            f"{forecaster.pipeline.warmup_candles}.",
            hint="pass a longer file with --data",
        )
