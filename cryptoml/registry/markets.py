"""The registered model of a market: versions of other symbols, intervals or horizons never compete with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.data.symbols import POOL, UNKNOWN
from cryptoml.errors import CheckFailedError
from cryptoml.registry.version_search import quoted, search_versions
from cryptoml.registry.versions import PRODUCTION, version_at
from cryptoml.tracking.store.errors import translate_store_errors
from cryptoml.tracking.store.response_limits import all_pages

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

    from cryptoml.models.forecaster import Forecaster
    from cryptoml.tracking.store.store import Store

# The tag of a registered model with its market, as in Market.tag.
MARKET_TAG = "cryptoml.market"
PLACEHOLDERS = ("symbol", "interval", "horizon")


@dataclass(frozen=True)
class Market:
    """What a model forecasts: a symbol (POOL for several), an interval, and the main horizon in candles."""

    symbol: str
    interval: str
    horizon: int

    @property
    def tag(self) -> str:
        """The value of MARKET_TAG."""
        return f"{self.symbol} {self.interval} {self.horizon}"

    @property
    def title(self) -> str:
        """The market in a sentence."""
        return f"{self.symbol} {self.interval}, {self.horizon} ahead"

    def has(self, *, symbol: str | None = None, interval: str | None = None, horizon: int | None = None) -> bool:
        """Whether this market is that; None matches all, and an unknown symbol each symbol."""
        return (
            (symbol is None or UNKNOWN in (symbol, self.symbol) or symbol == self.symbol)
            and interval in (None, self.interval)
            and horizon in (None, self.horizon)
        )

    def is_same(self, other: Market) -> bool:
        """Whether versions for both may compete."""
        return self.has(symbol=other.symbol, interval=other.interval, horizon=other.horizon)


@dataclass(frozen=True)
class ModelName:
    """A registered model. market: None if it has no version that says."""

    name: str
    market: Market | None


def parse_market(tag: str) -> Market | None:
    """Return the market of a tag of a registered model; None if it is damaged or empty."""
    symbol, _, rest = tag.partition(" ")
    interval, _, horizon = rest.partition(" ")
    return Market(symbol, interval, int(horizon)) if horizon.isdecimal() else None


def market_of(forecaster: Forecaster) -> Market:
    """Return the market of a model."""
    return Market(forecaster.symbol, forecaster.pipeline.interval, forecaster.horizon)


def market_of_tags(tags: Mapping[str, str]) -> Market | None:
    """Return the market in the tags of a version or the parameters of a run; None if they do not say."""
    horizon = tags.get("prediction_horizon", "")
    if not horizon.isdecimal() or "symbol" not in tags or "interval" not in tags:
        return None
    return Market(tags["symbol"], tags["interval"], int(horizon))


def names_of(store: Store, pattern: str) -> list[ModelName]:
    """Return the registered models whose names follow the pattern of the config, shortest name first."""
    found = []
    with translate_store_errors(store.uri, f"list the models {pattern}"):
        start = quoted(pattern.partition("{")[0])
        search = store.client.search_registered_models
        query = f"name LIKE '{start}%'" if start else None
        for page in all_pages(lambda token: search(query, max_results=200, page_token=token), store.uri):
            models = [
                ModelName(model.name, _market(store, model)) for model in page if _may_follow(model.name, pattern)
            ]
            found += [one for one in models if one.name == pattern or _follows(one, pattern)]
    return sorted(found, key=lambda one: (len(one.name), one.name))


def _may_follow(name: str, pattern: str) -> bool:
    parts = re.split(r"\{\w+\}", pattern)
    return re.fullmatch(r"[\w-]+".join(map(re.escape, parts)) + r"(-[a-z0-9-]+)?", name) is not None


def _follows(model: ModelName, pattern: str) -> bool:
    """Whether a name is one of those that the market of the model may have."""
    if model.market is None:
        return "{" in pattern
    # Earlier releases left the horizon out of the name.
    without = Market(model.market.symbol, model.market.interval, 1)
    return model.name in (*market_names(pattern, model.market), *market_names(pattern, without))


def name_for(store: Store, pattern: str, market: Market, *, among_several: bool = False) -> str:
    """Return the registered model for versions of a market: the one that it has, else a name that is free.

    A pattern without placeholders is itself the name for the first market. among_several: whether the training has
    several markets, none of which is the first.
    """
    return name_among(store, names_of(store, pattern), pattern, market, among_several=among_several)


def name_among(
    store: Store, names: Sequence[ModelName], pattern: str, market: Market, *, among_several: bool = False
) -> str:
    """Return the same as `name_for` for the models of the pattern, which were read before."""
    of_market = [one for one in names if one.market is not None and one.market.is_same(market)]
    if of_market:
        return _preferred(store, of_market)
    taken = {one.name for one in names if one.market is not None}
    candidates = market_names(pattern, market)
    if among_several and pattern not in {one.name for one in names}:
        candidates = [planned_name(pattern, market, among_several=True)]
    return next((name for name in candidates if name not in taken), candidates[-1])


def market_names(pattern: str, market: Market) -> list[str]:
    """Return the names that a market may have, in the order in which they are tried."""
    plain = pattern
    for key in PLACEHOLDERS:
        plain = plain.replace(f"{{{key}}}", _slug(str(getattr(market, key))))
    suffix = _slug(f"{market.symbol}-{market.interval}")
    own = plain if plain.endswith(f"-{suffix}") else f"{plain}-{suffix}"
    names = [plain, own] if market.horizon == 1 else [plain, f"{own}-h{market.horizon}"]
    return list(dict.fromkeys(names))


def planned_name(pattern: str, market: Market, *, among_several: bool) -> str:
    """Return the registered model for versions of a market in an empty registry."""
    return market_names(pattern, market)[-1 if among_several and "{" not in pattern else 0]


def is_among_several(pattern: str, planned: str, tags: Mapping[str, str]) -> bool:
    """Whether a training had several markets, by the name that it planned for its model."""
    market = market_of_tags(tags)
    return market is not None and planned in market_names(pattern, market)[1:]


def existing_name(
    store: Store, pattern: str, *, symbol: str, interval: str, horizon: int, source: str = "the candles"
) -> str:
    """Return the registered model that forecasts a market, of this horizon if there is one, else of a pool.

    Raises CheckFailedError if there are models, but of other markets only.
    """
    names = names_of(store, pattern)
    if not names:
        return market_names(pattern, Market(symbol, interval, horizon))[0]
    for wanted in (symbol, POOL):
        of_market = [one for one in names if one.market and one.market.has(symbol=wanted, interval=interval)]
        if of_market:
            return _preferred(
                store, [one for one in of_market if one.market and one.market.horizon == horizon] or of_market
            )
    unknown = [one for one in names if one.market is None]
    if unknown:
        return unknown[0].name
    others = ", ".join(sorted({f"{one.market.symbol} {one.market.interval}" for one in names if one.market}))
    raise CheckFailedError(
        f"{source}: contains {symbol} {interval} candles; the registered models forecast {others}.",
        hint="pass other candles with --data, or train a model of these: cryptoml train",
    )


def _preferred(store: Store, names: Sequence[ModelName]) -> str:
    """Return the model with a version in production, else the one with the shortest name."""
    if len(names) > 1:
        return next((one.name for one in names if version_at(store, one.name, PRODUCTION)), names[0].name)
    return names[0].name


def _market(store: Store, model: RegisteredModel) -> Market | None:
    """Return the market in the tag of a model; for models of earlier releases, that of production or the newest."""
    named = parse_market(str((model.tags or {}).get(MARKET_TAG, "")))
    if named is not None:
        return named
    versions = sorted(search_versions(store, f"name = '{quoted(model.name)}'"), key=lambda one: -int(one.version))
    production = str((model.aliases or {}).get(PRODUCTION, ""))
    ordered = sorted(versions, key=lambda one: str(one.version) != production)
    return next((found for one in ordered if (found := market_of_tags(one.tags or {}))), None)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
