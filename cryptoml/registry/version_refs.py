"""How people name a version: v3, 3, latest, production, or with its model, as in crypto-price-predictor@production."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.errors import UsageError
from cryptoml.registry.versions import Version, get_version, list_versions, version_at

if TYPE_CHECKING:
    from cryptoml.tracking.store.store import Store

STAGES_WITH_ALIAS = ("production", "staging")
LATEST = "latest"
_NUMBER = re.compile(r"v?0*([1-9]\d{0,8})", re.IGNORECASE)


@dataclass(frozen=True)
class VersionRef:
    """A reference. which: a number, `latest` or an alias. model_name: None for the model of the market."""

    which: str
    model_name: str | None = None


def parse_version_ref(text: str) -> VersionRef | None:
    """Parse a reference; None if it is none, and may be the ID or name of a run."""
    name, at, which = text.strip().rpartition("@")
    number = _NUMBER.fullmatch(which)
    if number is not None:
        return VersionRef(number[1], name or None)
    if at and name and which:
        return VersionRef(which.lower() if which.lower() in (*STAGES_WITH_ALIAS, LATEST) else which, name)
    if which.lower() in (*STAGES_WITH_ALIAS, LATEST):
        return VersionRef(which.lower())
    return None


def needed_version_ref(text: str) -> VersionRef:
    """Parse a reference; raise UsageError if it is none."""
    found = parse_version_ref(text)
    if found is None:
        raise UsageError(
            f"{text}: is not a version.", hint="use v3, 3, latest, production or NAME@v3; list them: cryptoml versions"
        )
    return found


def find_version(store: Store, model_name: str, ref: VersionRef) -> Version:
    """Return the version of a model that a reference names; raise UsageError if there is none."""
    if ref.which.isdecimal():
        return get_version(store, model_name, ref.which)
    if ref.which == LATEST:
        versions = list_versions(store, model_name)
        if versions:
            return versions[0]
        raise UsageError(f"{model_name} has no versions.", hint="train and register a model first: cryptoml train")
    version = version_at(store, model_name, ref.which)
    if version is None:
        latest = ", ".join(f"v{item.version}" for item in list_versions(store, model_name)[:5])
        stage = ref.which if ref.which in STAGES_WITH_ALIAS else "production"
        raise UsageError(
            f"{model_name} has no version in {ref.which}."
            if ref.which in STAGES_WITH_ALIAS
            else f"{model_name} has no alias {ref.which}.",
            hint=f"cryptoml promote v1 {stage}, or choose one of {latest}"
            if latest
            else "train and register a model first: cryptoml train",
        )
    return version
