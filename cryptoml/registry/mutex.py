"""One transition at a time, whoever makes it: a file lock on this machine, a lock in the registry among machines."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptoml.errors import UnavailableError
from cryptoml.tracking.files import locked
from cryptoml.tracking.store import Store
from cryptoml.tracking.translate import exists_already, is_missing, masked, store_in_words

WAIT_S = 60.0
# A holder needs a second or two; a lock that stands unchanged for longer was left by a process that died.
STALE_S = 30.0
_POLL_S = 0.2


@contextmanager
def exclusive(store: Store, model_name: str, *, wait_s: float = WAIT_S, stale_s: float = STALE_S) -> Iterator[None]:
    """Hold the right to move versions of a model; raises UnavailableError when another has it for too long."""
    with locked(_lock_file(store.uri, model_name), timeout_s=wait_s):
        if not store.is_remote:
            yield
            return
        # Making a registered model is the one thing that MLflow's interface lets exactly one caller do.
        name = f"{model_name}.lock"
        _acquire(store, name, wait_s=wait_s, stale_s=stale_s)
        try:
            yield
        finally:
            with suppress(UnavailableError):
                _delete(store, name)


def _acquire(store: Store, name: str, *, wait_s: float, stale_s: float) -> None:
    from mlflow.exceptions import MlflowException

    deadline = time.monotonic() + wait_s
    seen: int | None = None
    since = time.monotonic()
    while True:
        with store_in_words(store.uri, "take the registry's lock"):
            try:
                store.client.create_registered_model(name, description="held while a version is promoted")
                return
            except MlflowException as error:
                if not exists_already(error):
                    raise
            try:
                made = store.client.get_registered_model(name).creation_timestamp
            except MlflowException as error:
                if not is_missing(error):
                    raise
                continue
        if made != seen:
            seen, since = made, time.monotonic()
        elif time.monotonic() - since > stale_s:
            _delete(store, name)
            continue
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"{masked(store.uri)}: another promotion holds the registry's lock.", mend="try again in a minute"
            )
        time.sleep(_POLL_S * (0.5 + random.random()))


def _delete(store: Store, name: str) -> None:
    from mlflow.exceptions import MlflowException

    with store_in_words(store.uri, "release the registry's lock"):
        try:
            store.client.delete_registered_model(name)
        except MlflowException as error:
            if not is_missing(error):
                raise


def _lock_file(uri: str, model_name: str) -> Path:
    """The same file for every process of this user that means this model of this store."""
    key = hashlib.sha256(f"{uri}\n{model_name}".encode()).hexdigest()[:20]
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"cryptoml-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"promote-{key}.lock"
