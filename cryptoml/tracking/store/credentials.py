"""Choose the credentials that MLflow's client sends: it reads them from the environment at every request."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from cryptoml.settings import SIGNERS

CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@dataclass(frozen=True)
class User:
    """Name and password for requests to the source server; both None for anonymous requests."""

    name: str | None = None
    password: str | None = field(default=None, repr=False)


@contextmanager
def as_user(user: User | None) -> Iterator[None]:
    """Send requests within the block as `user`; None leaves the environment unchanged."""
    wanted: dict[str, str | None] = {}
    if user is not None:
        values = (user.name, user.password, None)
        wanted = {**dict.fromkeys(SIGNERS), **dict(zip(CREDENTIALS, values, strict=True))}
    with environment(wanted):
        yield


@contextmanager
def environment(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables within the block and restore them afterwards; None removes a variable."""
    before = swap_variables(wanted)
    try:
        yield
    finally:
        set_variables(before)


def swap_variables(values: Mapping[str, str | None]) -> dict[str, str | None]:
    """Set environment variables and return their previous values; None means unset."""
    before = {name: os.environ.get(name) for name in values}
    set_variables(values)
    return before


def set_variables(values: Mapping[str, str | None]) -> None:
    """Set environment variables; None removes a variable."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
