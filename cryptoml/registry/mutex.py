"""Mutual exclusion of stage transitions: a file lock on this machine, a lock in the registry across machines."""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import UnavailableError
from cryptoml.system.environment import private_folder
from cryptoml.system.files import locked
from cryptoml.tracking.store.errors import exists_already, is_missing, masked, translate_store_errors
from cryptoml.tracking.store.lost_responses import send_once
from cryptoml.tracking.store.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

WAIT_S = 60.0
# A holder needs a second or two; a lock that is unchanged for longer is stale.
STALE_S = 30.0
# Each round tries three times within about 10 s.
RELEASE_ROUNDS = 2
_POLL_S = 0.2


@contextmanager
def registry_lock(store: Store, model_name: str, *, wait_s: float = WAIT_S, stale_s: float = STALE_S) -> Iterator[None]:
    """Hold the lock for transitions of a model; raise UnavailableError if it is not free within `wait_s`.

    A lock in the registry that is unchanged for `stale_s` is taken over.
    """
    with locked(_lock_file(store.uri, model_name), timeout_s=wait_s):
        if not store.is_remote:
            yield
            return
        # Creating a registered model is the only MLflow request that succeeds for exactly one caller.
        lock = _Lock(store, f"{model_name}.lock", f"held while a version is promoted; owner {uuid.uuid4().hex}")
        lock.acquire(wait_s=wait_s, stale_s=stale_s)
        try:
            yield
        finally:
            lock.release()


@dataclass(frozen=True)
class _Lock:
    """A registered model used as a lock; `owner`, its description, is unique for each holder."""

    store: Store
    name: str
    owner: str

    def acquire(self, *, wait_s: float, stale_s: float) -> None:
        deadline = time.monotonic() + wait_s
        seen: tuple[int, str] | None = None
        since = time.monotonic()
        while True:
            if self._create():
                return
            model = self._read()
            owner = "" if model is None else model.description or ""
            if owner == self.owner:
                # An earlier request succeeded, but its response was lost.
                return
            holder = None if model is None else (model.creation_timestamp, owner)
            if holder is None or holder != seen:
                seen, since = holder, time.monotonic()
            elif time.monotonic() - since > stale_s:
                self._delete(owner)
                continue
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{masked(self.store.uri)}: the registry is locked by another promotion.",
                    hint="try again in a minute",
                )
            time.sleep(_POLL_S * (0.5 + random.random()))

    def release(self) -> None:
        """Delete the lock; if the store cannot delete it, the next holder takes it over after STALE_S."""
        for _ in range(RELEASE_ROUNDS):
            with suppress(UnavailableError):
                self._delete(self.owner)
                return

    def _create(self) -> bool:
        """Create the lock; return False if it already exists."""
        from mlflow.exceptions import MlflowException

        def is_ours() -> bool | None:
            model = self._read()
            return None if model is None else model.description == self.owner

        def create() -> bool:
            model = self.store.client.create_registered_model(self.name, description=self.owner)
            # An empty response has an empty name.
            return bool(model.name)

        with translate_store_errors(self.store.uri, "acquire the registry's lock"):
            try:
                return send_once(self.store, create, is_ours, valid=bool)
            except MlflowException as error:
                if not exists_already(error):
                    raise
                return False

    def _read(self) -> RegisteredModel | None:
        from mlflow.exceptions import MlflowException

        with translate_store_errors(self.store.uri, "read the registry's lock"):
            try:
                return self.store.client.get_registered_model(self.name)
            except MlflowException as error:
                if is_missing(error):
                    return None
                raise

    def _delete(self, owner: str) -> None:
        """Delete the lock of `owner`, once: after a lost response, the lock may belong to another holder."""
        from mlflow.exceptions import MlflowException

        def delete() -> bool:
            self.store.client.delete_registered_model(self.name)
            return True

        def is_deleted() -> bool | None:
            model = self._read()
            return True if model is None or (model.description or "") != owner else None

        with translate_store_errors(self.store.uri, "release the registry's lock"):
            try:
                send_once(self.store, delete, is_deleted)
            except MlflowException as error:
                if not is_missing(error):
                    raise


def _lock_file(uri: str, model_name: str) -> Path:
    """Return the lock file of a model in a store, the same for all processes of this user."""
    key = hashlib.sha256(f"{uri}\n{model_name}".encode()).hexdigest()[:20]
    return private_folder("locks") / f"promote-{key}.lock"
