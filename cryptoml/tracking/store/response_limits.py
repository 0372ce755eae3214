"""Limits for what a server answers to mlflow's client: so many bytes, and so long for all of them.

A time limit of requests holds for each single read alone. A server that sends a byte a second, or sends without an
end, would keep a command busy until the memory is full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from cryptoml.errors import UnavailableError
from cryptoml.tracking.store.server_probe import run_with_timeout

if TYPE_CHECKING:
    import requests

# A page of 1000 runs takes some 10 MiB.
MAX_RESPONSE_BYTES = 128 * 2**20
# For one request with its repetitions, or one piece of a file: 2 kB a second, less than any line in use.
RESPONSE_TIMEOUT_S = 120.0
MAX_PAGES = 1000
CHUNK_BYTES = 256 * 2**10
T = TypeVar("T")


class _LimitedSession:
    """A session of requests, as mlflow uses it, whose answers have an end."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def request(self, method: str, url: str, **more: Any) -> requests.Response:
        """As `Session.request`; raises ReadTimeout for an answer that takes too long."""
        import requests

        # The longest that a single try may take, for the tries there are.
        patience = max(RESPONSE_TIMEOUT_S, 4 * float(more.get("timeout") or 0))
        try:
            return run_with_timeout(
                patience, lambda: self._session.request(method, url, hooks={"response": _read_body}, **more)
            )
        except TimeoutError:
            raise requests.exceptions.ReadTimeout(f"no whole answer within {patience:g} s") from None


def limit_responses() -> None:
    """Make mlflow's client of this process keep the limits; may be called again."""
    from mlflow.utils import request_utils

    if isinstance(getattr(request_utils, "_get_request_session", None), _SessionFactory):
        return
    request_utils._get_request_session = _SessionFactory(request_utils._get_request_session)


class _SessionFactory:
    """What mlflow gets its sessions from."""

    def __init__(self, sessions: Callable[..., requests.Session]) -> None:
        self._sessions = sessions

    def __call__(self, *positional: Any, **named: Any) -> _LimitedSession:
        return _LimitedSession(self._sessions(*positional, **named))


def _read_body(response: requests.Response, *, stream: bool = False, **ignored: Any) -> None:
    """Read the body before requests does, up to the limit. Of a stream, the caller reads it."""
    import requests

    if stream:
        return
    body = bytearray()
    for piece in response.iter_content(CHUNK_BYTES):
        body += piece
        if len(body) > MAX_RESPONSE_BYTES:
            response.close()
            raise requests.exceptions.ContentDecodingError(f"the answer has more than {MAX_RESPONSE_BYTES:,} bytes")
    response._content = bytes(body)


def read_chunks(response: requests.Response) -> Iterator[bytes]:
    """The body of a streamed answer, decoded; raises ReadTimeout for a piece that takes too long."""
    import requests

    parts = response.iter_content(CHUNK_BYTES)
    while True:
        try:
            piece = run_with_timeout(RESPONSE_TIMEOUT_S, lambda: next(parts, b""))
        except TimeoutError:
            # Ends the read in the other thread, for which `close` would wait.
            response.raw.shutdown()
            raise requests.exceptions.ReadTimeout(
                f"fewer than {CHUNK_BYTES:,} bytes within {RESPONSE_TIMEOUT_S:g} s"
            ) from None
        if not piece:
            return
        yield piece


def all_pages(fetch: Callable[[str | None], Any], where: str) -> Iterator[Any]:
    """The pages of a list, fetched by their tokens; raises UnavailableError for a list without an end."""
    token: str | None = None
    for _ in range(MAX_PAGES):
        page = fetch(token)
        yield page
        # A page without entries has no next one, whatever the server says.
        token = page.token if len(page) else None
        if not token:
            return
    raise UnavailableError(
        f"{where}: a list that was asked for has more than {MAX_PAGES:,} pages.", hint="check the server"
    )
