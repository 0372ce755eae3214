"""Whose credentials MLflow's client sends: it takes them from the environment of the process at every request."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from cryptoml.settings import SIGNERS

CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@dataclass(frozen=True)
class User:
    """Who asks the source server: name and password, both None for an anonymous request."""

    name: str | None = None
    password: str | None = field(default=None, repr=False)


@contextmanager
def as_user(user: User | None) -> Iterator[None]:
    """Make requests within the block as `user`; None leaves the environment as it is."""
    wanted: dict[str, str | None] = {}
    if user is not None:
        values = (user.name, user.password, None)
        wanted = {**dict.fromkeys(SIGNERS), **dict(zip(CREDENTIALS, values, strict=True))}
    with environment(wanted):
        yield


@contextmanager
def environment(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables for the block, None removes one; afterwards all are as before."""
    before = swap_variables(wanted)
    try:
        yield
    finally:
        set_variables(before)


def swap_variables(values: Mapping[str, str | None]) -> dict[str, str | None]:
    """Set variables as `put` does; returns what they were."""
    before = {name: os.environ.get(name) for name in values}
    set_variables(values)
    return before


def set_variables(values: Mapping[str, str | None]) -> None:
    """Set variables; None removes one."""
    for name, text in values.items():
        if text is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = text
