"""Register the model of a run under the name of its market, once for the same data, config and model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.errors import CheckFailedError
from cryptoml.registry.fit_tag import FIT_TAG
from cryptoml.registry.markets import (
    MARKET_TAG,
    Market,
    is_among_several,
    market_of_tags,
    name_among,
    names_of,
    parse_market,
)
from cryptoml.registry.versions import MODEL_PATH, Version, ensure_model, register_version, versions_without_aliases
from cryptoml.system.data_versions import version_content
from cryptoml.tracking.journal.records import Registration
from cryptoml.tracking.store.errors import translate_store_errors

if TYPE_CHECKING:
    from cryptoml.tracking.journal.deliver import Register
    from cryptoml.tracking.store.store import Store

CONFIG_HASH = "config_hash"
DATASET_VERSION = "dataset_version"
CLAIMS = 3
# Versions with the same values were trained on the same data, with the same config and result.
SAME = (CONFIG_HASH, "model_type", FIT_TAG, "skill", "cv_rmse_mean")


def registrar(store: Store, on_event: events.OnEvent = events.ignore) -> Register:
    """Return the function that `deliver` calls for each registration in a journal."""

    def register(run_id: str, registration: Registration) -> tuple[str, str]:
        pattern = registration.pattern or registration.model_name
        version = register_for_market(
            store,
            run_id=run_id,
            pattern=pattern,
            among_several=is_among_several(pattern, registration.model_name, registration.tags),
            artifact_path=registration.model_path,
            description=registration.description,
            tags=registration.tags,
        )
        if version.run_id != run_id:
            on_event(events.Info(same_model_text(version)))
        return version.model_name, version.version

    return register


def register_for_market(
    store: Store,
    *,
    run_id: str,
    pattern: str,
    description: str,
    tags: Mapping[str, str],
    artifact_path: str = MODEL_PATH,
    among_several: bool = False,
) -> Version:
    """Return the version of a run, or the earlier one of the same data, config and model.

    pattern, among_several: as in `name_for`; tags: of the version, with its market. Raises as `register_version` does.
    """
    market = market_of_tags(tags)
    name, is_new = pattern, False
    if market is not None:
        name, is_new = _claim(store, pattern, market, among_several=among_several)
    if CONFIG_HASH in tags and not is_new:
        versions = versions_without_aliases(store, name)
        same = [one for one in versions if is_same_model(one.tags, tags)]
        if same and all(one.run_id != run_id for one in versions):
            return same[-1]
    return register_version(
        store,
        run_id=run_id,
        model_name=name,
        artifact_path=artifact_path,
        description=description,
        tags=tags,
        is_model_there=market is not None,
    )


def _claim(store: Store, pattern: str, market: Market, *, among_several: bool) -> tuple[str, bool]:
    """Return the registered model of a market, and whether it was created now; it is marked as that market's."""
    # Another process may create the model for its market after the names are read; then the next name is free.
    for _ in range(CLAIMS):
        names = names_of(store, pattern)
        name = name_among(store, names, pattern, market, among_several=among_several)
        is_new = name not in {one.name for one in names}
        with translate_store_errors(store.uri, f"create the model {name}"):
            tags = ensure_model(store, name, tags={MARKET_TAG: market.tag}, is_new=is_new)
        owner = parse_market(tags[MARKET_TAG])
        if owner is None or owner.is_same(market):
            return name, is_new
    raise CheckFailedError(
        f"{name}: is the model of {tags[MARKET_TAG]}, not of {market.tag}.",
        hint='choose another name, such as --set "registry.model_name={symbol}-{interval}-{horizon}"',
    )


def is_same_model(tags: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two versions have the same data, config and model, by their tags."""
    return all(tags.get(name) == other.get(name) for name in SAME) and (
        version_content(tags.get(DATASET_VERSION, "")) == version_content(other.get(DATASET_VERSION, ""))
    )


def same_model_text(version: Version) -> str:
    """Return the sentence about a registration that was answered with an earlier version."""
    return f"{version.model_name} v{version.version} has the same data, config and model, so there is no new version"
