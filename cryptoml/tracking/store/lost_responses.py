"""Handle a response that does not show whether a request was executed: query the store, or repeat the request."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from cryptoml.tracking.store.errors import may_have_succeeded, not_mlflow_error, response_errors

ATTEMPTS = 3
# A gateway may return 502 or 504 before the server behind it has finished.
PAUSES_S = (0.3, 1.0, 2.0)
REPEAT_PAUSES_S = (0.5, 1.5)
T = TypeVar("T")


class Requests(Protocol):
    """The part of a store that is needed to repeat a request."""

    @property
    def uri(self) -> str:
        """The store's address."""

    @property
    def is_remote(self) -> bool:
        """Whether the store is a server."""

    def without_retries(self) -> AbstractContextManager[None]:
        """Send each request within the block once."""


def send_once(
    store: Requests, send: Callable[[], T], find: Callable[[], T | None], *, valid: Callable[[T], bool] = lambda _: True
) -> T:
    """Return the result of `send`, or of `find` if the response does not show whether the request was executed.

    `send` runs without HTTP retries. It is repeated only if no call of `find` finds a result in the store. A result
    that is not `valid`, such as an empty response, counts as a lost response. Must be called inside
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
            raise not_mlflow_error(store.uri, "use the response")
        except response_errors() as error:
            if not may_have_succeeded(error):
                raise
            earlier = _find_result(find)
            if earlier is not None:
                return earlier
            if attempt == ATTEMPTS:
                raise
        attempt += 1


def send_until_clear(store: Requests, send: Callable[[], object]) -> None:
    """Call `send`, which must be idempotent, and repeat it if the response does not show whether it was executed."""
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
        # mlflow does not retry after incomplete responses.
        with attempt, store.without_retries():
            send()


def _find_result(find: Callable[[], T | None]) -> T | None:
    for pause_s in PAUSES_S:
        time.sleep(pause_s)
        result = find()
        if result is not None:
            return result
    return None
