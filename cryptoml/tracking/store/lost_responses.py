"""What to do after an answer that leaves open whether a request was carried out: ask the store, or repeat it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from cryptoml.tracking.store.errors import may_have_succeeded, not_mlflow_error, response_errors

ATTEMPTS = 3
# A gateway may answer 502 or 504 before the server behind it has finished.
PAUSES_S = (0.3, 1.0, 2.0)
REPEAT_PAUSES_S = (0.5, 1.5)
T = TypeVar("T")


class Requests(Protocol):
    """What is needed of a store to send it a request again."""

    @property
    def uri(self) -> str:
        """Its address."""

    @property
    def is_remote(self) -> bool:
        """Whether requests go over a network."""

    def without_retries(self) -> AbstractContextManager[None]:
        """Requests within the block are sent once."""


def send_once(
    store: Requests, send: Callable[[], T], find: Callable[[], T | None], *, valid: Callable[[T], bool] = lambda _: True
) -> T:
    """The result of `send`, or what `find` sees in the store after an answer that leaves open what happened.

    `send` runs without the HTTP layer's own retries. It is repeated only after every look with `find` has found
    nothing. A result that is not `valid` (an empty answer, for example) counts as unclear. Must be called inside
    `translate_store_errors`: the last error is raised untranslated.
    """
    if not store.is_remote:
        return send()
    attempt = 1
    while True:
        try:
            with store.without_retries():
                result = send()
            if valid(result):
                return result
            raise not_mlflow_error(store.uri, "use the answer")
        except response_errors() as error:
            if not may_have_succeeded(error):
                raise
            found = _find_result(find)
            if found is not None:
                return found
            if attempt == ATTEMPTS:
                raise
        attempt += 1


def send_until_clear(store: Requests, send: Callable[[], object]) -> None:
    """Run `send`, which can be repeated without harm, again after an unclear answer."""
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_chain, wait_fixed

    if not store.is_remote:
        send()
        return
    retrying = Retrying(
        retry=retry_if_exception(may_have_succeeded),
        wait=wait_chain(*map(wait_fixed, REPEAT_PAUSES_S)),
        stop=stop_after_attempt(len(REPEAT_PAUSES_S) + 1),
        reraise=True,
    )
    for attempt in retrying:
        # mlflow's own retries leave out answers that break off.
        with attempt, store.without_retries():
            send()


def _find_result(find: Callable[[], T | None]) -> T | None:
    for pause_s in PAUSES_S:
        time.sleep(pause_s)
        found = find()
        if found is not None:
            return found
    return None
