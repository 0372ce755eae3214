"""Retries of requests to an exchange: after rate limits, timeouts and connection errors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from cryptoml import events
from cryptoml.errors import AccessError, CryptomlError, UnavailableError
from cryptoml.system.proxies import connection_error, proxy_of

if TYPE_CHECKING:
    from ccxt.base.exchange import Exchange
    from tenacity import RetryCallState

TRIES = 4
FIRST_PAUSE_S = 1.0
# Binance bans for two minutes at first and later for up to three days: only short bans are waited for.
LONGEST_PAUSE_S = 180.0
DEFAULT_PAUSE_S = {429: 10.0, 418: 120.0}
# Statuses of exchanges that do not serve the country of the client.
NOT_SERVED = (403, 451)

Answer = TypeVar("Answer")


def with_retries(client: Exchange, request: Callable[[], Answer], *, on_event: events.OnEvent) -> Answer:
    """Make one request, with retries if they can help.

    A Retry-After of the exchange (429 or 418) is respected, up to LONGEST_PAUSE_S.
    Raises UnavailableError if the exchange remains unavailable, AccessError if it refuses this location.
    """
    from ccxt.base import errors
    from tenacity import Retrying, retry_if_exception, stop_after_attempt

    def send() -> Answer:
        answer = request()
        if client.last_json_response is None:
            raise TypeError("the response is not JSON")
        return answer

    def is_temporary(error: BaseException) -> bool:
        if not _may_pass(error):
            return False
        required_s = _required_pause_s(client, error)
        return required_s is None or required_s <= LONGEST_PAUSE_S

    def pause_s(state: RetryCallState) -> float:
        required_s = _required_pause_s(client, _raised(state))
        return FIRST_PAUSE_S * 2 ** (state.attempt_number - 1) if required_s is None else required_s

    def report(state: RetryCallState) -> None:
        pause, number = state.upcoming_sleep, state.attempt_number + 1
        fault = _fault(client, _raised(state))
        on_event(events.Warned(f"{client.id}: {fault}; waiting {pause:g} s, then try {number} of {TRIES}"))

    retrying = Retrying(
        retry=retry_if_exception(is_temporary),
        wait=pause_s,
        stop=stop_after_attempt(TRIES),
        before_sleep=report,
        reraise=True,
    )
    try:
        return retrying(send)
    except errors.BaseError as error:
        if isinstance(error, errors.NetworkError) or _may_pass(error) or _status(error) in NOT_SERVED:
            raise _given_up(client, error) from error
        raise UnavailableError(
            f"{client.id}: rejected a request: {_first_line(error)}.", hint="try again later"
        ) from error
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        # The client parses responses without checks, and reads a proxy's HTML page as "no candles".
        raise UnavailableError(
            f"{client.id}: its response cannot be parsed ({type(error).__name__}).",
            hint="check whether a proxy responds in its place",
        ) from error


def _may_pass(error: BaseException) -> bool:
    """Return whether the same request may succeed later.

    ccxt turns some answers with a status of the kind "later" into other errors than those of the network.
    """
    from ccxt.base import errors

    status = _status(error)
    if status in NOT_SERVED:
        return False
    is_later = status is not None and (status in DEFAULT_PAUSE_S or status >= 500)
    return isinstance(error, errors.NetworkError) or (is_later and isinstance(error, errors.BaseError))


def _raised(state: RetryCallState) -> BaseException:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert error is not None
    return error


def _required_pause_s(client: Exchange, error: BaseException) -> float | None:
    """Return the pause that the exchange requires, in seconds; None if it requires none."""
    status = _status(error)
    if status not in DEFAULT_PAUSE_S:
        return None
    headers = client.last_response_headers or {}
    retry_after = str(headers.get("Retry-After", "")).strip()
    try:
        return max(float(retry_after), 1.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(retry_after) - datetime.now(tz=UTC)).total_seconds(), 1.0)
    except (ValueError, TypeError):
        return DEFAULT_PAUSE_S[status]


def _given_up(client: Exchange, error: Exception) -> CryptomlError:
    fault, pause_s = _fault(client, error), _required_pause_s(client, error)
    if pause_s is not None and pause_s > LONGEST_PAUSE_S:
        return UnavailableError(
            f"{client.id}: {fault} and requires a pause of {pause_s:,.0f} s.",
            hint="run the same command again after that time; it resumes",
        )
    if _status(error) in NOT_SERVED:
        return AccessError(f"{client.id}: {fault}: it does not serve this location.", hint="choose another --exchange")
    cause = error.__cause__ or error.__context__
    if _status(error) is None and isinstance(cause, Exception):
        proxy_error = connection_error(str(client.last_request_url or ""), cause, f"no connection, {TRIES} times")
        if proxy_error is not None:
            return proxy_error
    return UnavailableError(
        f"{client.id}: {fault}, {TRIES} times.",
        hint="run the same command again later; it resumes",
    )


def _fault(client: Exchange, error: BaseException) -> str:
    from ccxt.base import errors

    status = _status(error)
    if status is not None:
        return {429: "too many requests (429)", 418: "banned for too many requests (418)"}.get(
            status, f"status {status}"
        )
    # Some exchanges answer with status 200 and an error in the body.
    if isinstance(error, errors.DDoSProtection | errors.RateLimitExceeded):
        return "too many requests"
    if isinstance(error, errors.ExchangeNotAvailable) and error.__cause__ is None and error.__context__ is None:
        return f"not available ({_first_line(error)})"
    if isinstance(error, errors.RequestTimeout):
        return f"no response within {client.timeout / 1000:g} s"
    proxy = proxy_of(str(client.last_request_url or ""))
    return f"no connection through the proxy {proxy}" if proxy else "no connection, or it was interrupted"


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of a client error, from the exception that caused it; None without one."""
    response: Any = getattr(error.__cause__ or error.__context__, "response", None)
    return None if response is None else int(response.status_code)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
