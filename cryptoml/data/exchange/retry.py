"""How long an exchange is waited for: when it asks for a pause, when it is slow, when the line drops."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from cryptoml import events
from cryptoml.errors import AccessError, CryptomlError, UnavailableError
from cryptoml.system.proxies import connection_error, proxy_of

if TYPE_CHECKING:
    from ccxt.base.exchange import Exchange

TRIES = 4
FIRST_PAUSE_S = 1.0
# Binance bans for two minutes at first and for up to three days later: only short bans are sat out.
LONGEST_ASKED_S = 180.0
UNSAID_PAUSE_S = {429: 10.0, 418: 120.0}

Answer = TypeVar("Answer")


def ask(client: Exchange, request: Callable[[], Answer], *, on_event: events.OnEvent) -> Answer:
    """Make one request, again after a pause where that can help.

    A pause that the exchange asks for (429 or 418 with Retry-After) is kept to, up to LONGEST_ASKED_S.
    Raises UnavailableError when the exchange stays away, AccessError when it does not serve this place.
    """
    from ccxt.base import errors

    for tried in range(1, TRIES + 1):
        try:
            answer = request()
            if client.last_json_response is None:
                raise TypeError("the answer is not JSON")
            return answer
        except errors.NetworkError as error:
            fault, pause = _fault(client, error), FIRST_PAUSE_S * 2 ** (tried - 1)
            asked = _asked_pause(client, error)
            if asked is not None:
                pause = asked
            if pause > LONGEST_ASKED_S:
                raise UnavailableError(
                    f"{client.id}: {fault} and asks for a pause of {pause:,.0f} s.",
                    hint="run the same command again after that time; it goes on where it stopped",
                ) from error
            if tried == TRIES or _status(error) in (403, 451):
                raise _given_up(client, fault, error) from error
        except errors.BaseError as error:
            raise UnavailableError(
                f"{client.id}: refused a request: {_first_line(error)}.", hint="try again later"
            ) from error
        except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
            # The client takes answers apart without looking, and reads a proxy's page as "no candles".
            raise UnavailableError(
                f"{client.id}: its answer cannot be read ({type(error).__name__}).",
                hint="see whether a proxy answers in its place",
            ) from error
        on_event(events.Warned(f"{client.id}: {fault}; waiting {pause:g} s, then try {tried + 1} of {TRIES}"))
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _asked_pause(client: Exchange, error: Exception) -> float | None:
    """Seconds that the exchange wants to be left alone; None when it said nothing of the kind."""
    status = _status(error)
    if status not in UNSAID_PAUSE_S:
        return None
    headers = client.last_response_headers or {}
    text = str(headers.get("Retry-After", "")).strip()
    try:
        return max(float(text), 1.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(text) - datetime.now(tz=UTC)).total_seconds(), 1.0)
    except (ValueError, TypeError):
        return UNSAID_PAUSE_S[status]


def _given_up(client: Exchange, fault: str, error: Exception) -> CryptomlError:
    if _status(error) in (403, 451):
        return AccessError(f"{client.id}: {fault}: it does not serve this place.", hint="choose another --exchange")
    cause = error.__cause__ or error.__context__
    if _status(error) is None and isinstance(cause, Exception):
        known = connection_error(str(client.last_request_url or ""), cause, f"no connection, {TRIES} times")
        if known is not None:
            return known
    return UnavailableError(
        f"{client.id}: {fault}, {TRIES} times.",
        hint="run the same command again later; it goes on where it stopped",
    )


def _fault(client: Exchange, error: Exception) -> str:
    from ccxt.base import errors

    status = _status(error)
    if status is not None:
        return {429: "too many requests (429)", 418: "banned for too many requests (418)"}.get(
            status, f"answered {status}"
        )
    if isinstance(error, errors.RequestTimeout):
        return f"no answer within {client.timeout / 1000:g} s"
    proxy = proxy_of(str(client.last_request_url or ""))
    return f"no connection through the proxy {proxy}" if proxy else "no connection, or it broke off"


def _status(error: Exception) -> int | None:
    """The HTTP status behind an error of the client, which keeps it only in what it was raised from."""
    response: Any = getattr(error.__cause__ or error.__context__, "response", None)
    return None if response is None else int(response.status_code)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
