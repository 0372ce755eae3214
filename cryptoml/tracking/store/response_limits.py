"""Size and time limits for responses to mlflow's client.

The timeout of requests applies to each read only: a server that sends one byte per second, or sends without end,
would block a command until the memory is full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from cryptoml.errors import UnavailableError
from cryptoml.tracking.store.server_probe import run_with_timeout

if TYPE_CHECKING:
    import requests

# A page of 1000 runs has about 10 MiB.
MAX_RESPONSE_BYTES = 128 * 2**20
# For a request with its retries, or a chunk of a file: 2 kB per second, slower than any usual connection.
RESPONSE_TIMEOUT_S = 120.0
MAX_PAGES = 1000
CHUNK_BYTES = 256 * 2**10
T = TypeVar("T")


class _LimitedSession:
    """A requests session with limited responses, as mlflow uses it."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send as `Session.request`; raise ReadTimeout if the response takes too long."""
        import requests

        # At least the timeout of all attempts together.
        limit_s = max(RESPONSE_TIMEOUT_S, 4 * float(options.get("timeout") or 0))
        try:
            return run_with_timeout(
                limit_s, lambda: self._session.request(method, url, hooks={"response": _read_body}, **options)
            )
        except TimeoutError:
            raise requests.exceptions.ReadTimeout(f"no complete response within {limit_s:g} s") from None


def limit_responses() -> None:
    """Apply the limits to mlflow's client in this process; idempotent."""
    from mlflow.utils import request_utils

    if isinstance(getattr(request_utils, "_get_request_session", None), _SessionFactory):
        return
    request_utils._get_request_session = _SessionFactory(request_utils._get_request_session)


class _SessionFactory:
    """Wraps the function that returns mlflow's sessions."""

    def __init__(self, sessions: Callable[..., requests.Session]) -> None:
        self._sessions = sessions

    def __call__(self, *positional: Any, **named: Any) -> _LimitedSession:
        return _LimitedSession(self._sessions(*positional, **named))


def _read_body(response: requests.Response, *, stream: bool = False, **ignored: Any) -> None:
    """Read the body up to the limit, before requests does; the caller reads a streamed response."""
    import requests

    if stream:
        return
    body = bytearray()
    for chunk in response.iter_content(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            response.close()
            raise requests.exceptions.ContentDecodingError(f"the response has more than {MAX_RESPONSE_BYTES:,} bytes")
    response._content = bytes(body)


def read_chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the decoded body of a streamed response; raise ReadTimeout if a chunk takes too long."""
    import requests

    chunks = response.iter_content(CHUNK_BYTES)
    while True:
        try:
            chunk = run_with_timeout(RESPONSE_TIMEOUT_S, lambda: next(chunks, b""))
        except TimeoutError:
            # End the read in the other thread; `close` would wait for it.
            response.raw.shutdown()
            raise requests.exceptions.ReadTimeout(
                f"fewer than {CHUNK_BYTES:,} bytes within {RESPONSE_TIMEOUT_S:g} s"
            ) from None
        if not chunk:
            return
        yield chunk


def all_pages(fetch: Callable[[str | None], Any], where: str) -> Iterator[Any]:
    """Yield the pages of a list by token; raise UnavailableError after MAX_PAGES pages."""
    token: str | None = None
    for _ in range(MAX_PAGES):
        page = fetch(token)
        yield page
        # An empty page is the last one, even if the server returns a token.
        token = page.token if len(page) else None
        if not token:
            return
    raise UnavailableError(
        f"{where}: the server returned a list of more than {MAX_PAGES:,} pages.", hint="check the server"
    )
