"""The registered model that a command means: named in the version, or that of the market of the candles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.config.schema import Config
from cryptoml.data.project_files import find_data, read_any
from cryptoml.errors import UsageError
from cryptoml.registry.markets import Market, existing_name, names_of, planned_name
from cryptoml.registry.version_refs import parse_version_ref

if TYPE_CHECKING:
    from cryptoml.data.candles import Candles
    from cryptoml.settings import Settings
    from cryptoml.tracking.store.store import Store


def model_name_for_candles(store: Store, config: Config, candles: Candles, *, reference: str) -> str:
    """Return the registered model that a reference to a version, or else the market of the candles, means.

    Raise CheckFailedError if there are registered models, but of other markets only.
    """
    pattern = config.registry.model_name
    ref = parse_version_ref(reference)
    if ref is not None and ref.model_name is not None:
        return ref.model_name
    symbol, interval, horizon = candles.symbol, candles.interval.label, config.target.prediction_horizon
    if ref is None:
        # The model of a run; its forecasts are logged under the name of the config.
        return planned_name(pattern, Market(symbol, interval, horizon), among_several=False)
    return existing_name(
        store, pattern, symbol=symbol, interval=interval, horizon=horizon, source=candles.report.source
    )


def model_name_for_version(
    store: Store, settings: Settings, config: Config, *, reference: str = "", data: Path | None = None
) -> str:
    """Return the registered model of a version; with several models, that of the candles in `data` or the newest file.

    Raise UsageError if there are several models and no candles, CheckFailedError as `model_name_for_candles` does.
    """
    pattern = config.registry.model_name
    ref = parse_version_ref(reference) if reference else None
    if ref is not None and ref.model_name is not None:
        return ref.model_name
    names = names_of(store, pattern)
    if len(names) == 1:
        return names[0].name
    if not names:
        return pattern
    try:
        source = data or find_data(settings.project_dir)
    except UsageError:
        listed = ", ".join(one.name for one in names)
        raise UsageError(
            f"there are several registered models: {listed}.",
            hint=f"name one, as in {names[0].name}@{reference or 'v1'}, or pass candles with --data",
        ) from None
    candles = read_any(source, config)
    return existing_name(
        store,
        pattern,
        symbol=candles.symbol,
        interval=candles.interval.label,
        horizon=config.target.prediction_horizon,
        source=source.name,
    )
