"""The faults: what the proxy does with one request instead of passing it on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.wire import ConnectionEndedError, Message, Wire, reply

if TYPE_CHECKING:
    from tests.faults.proxy import Proxy

HOLD_S = 15.0
PAGE = b"<!DOCTYPE html><html><body>Sign in to use this network.</body></html>"


@dataclass(frozen=True)
class Exchange:
    """One request that meets a fault."""

    proxy: Proxy
    client: Wire
    request: Message

    def forward(self) -> Message:
        """Have the backend carry the request out; its reply."""
        return self.proxy.forward(self.request)

    def answer(self, message: Message) -> bool:
        """Send a reply; the connection may go on."""
        self.client.send(message.head + (b"" if self.request.method == "HEAD" else message.body))
        return True


# Does the fault; returns whether the client's connection goes on.
Act = Callable[[Exchange], bool]


def _refuse(exchange: Exchange) -> bool:
    exchange.proxy.stop_listening()
    exchange.client.reset()
    return False


def _reset_request(exchange: Exchange) -> bool:
    exchange.client.reset()
    return False


def _reset_reply(exchange: Exchange) -> bool:
    exchange.forward()
    exchange.client.reset()
    return False


def _lose_reply(exchange: Exchange) -> bool:
    exchange.forward()
    return False


def _hold_reply(exchange: Exchange) -> bool:
    exchange.forward()
    exchange.client.wait_for_end(HOLD_S)
    return False


def _black_hole(exchange: Exchange) -> bool:
    exchange.client.wait_for_end(HOLD_S)
    return False


def _half_reply(exchange: Exchange) -> bool:
    got = exchange.forward()
    whole = got.head + got.body if got.body else got.head[: len(got.head) // 2]
    exchange.client.send(whole[: len(got.head) + len(got.body) // 2])
    return False


def _status(status: int, body: bytes = b"injected", **headers: str) -> Act:
    return lambda exchange: exchange.answer(reply(status, body, **headers))


def _status_after(status: int) -> Act:
    def act(exchange: Exchange) -> bool:
        exchange.forward()
        return exchange.answer(reply(status, b"the gateway lost the backend"))

    return act


def _status_early(status: int, seconds: float) -> Act:
    """The gateway gives up before the backend, which carries the request out all the same."""

    def act(exchange: Exchange) -> bool:
        timer = threading.Timer(seconds, exchange.forward)
        timer.daemon = True
        timer.start()
        return exchange.answer(reply(status, b"the gateway waits no longer"))

    return act


def _captive(exchange: Exchange) -> bool:
    return exchange.answer(reply(200, PAGE, "text/html"))


def _redirect(status: int) -> Act:
    def act(exchange: Exchange) -> bool:
        place = f"{exchange.proxy.witness.url}{exchange.request.path}"
        return exchange.answer(reply(status, b"elsewhere", Location=place))

    return act


def _slow(seconds: float) -> Act:
    def act(exchange: Exchange) -> bool:
        time.sleep(seconds)
        return exchange.answer(exchange.forward())

    return act


def _short_upload(*, answered: bool) -> Act:
    """The backend gets half of the body, then the end of the connection; the client hears 200 or nothing."""

    def act(exchange: Exchange) -> bool:
        body = exchange.request.body
        backend = exchange.proxy.connect()
        try:
            backend.send(exchange.request.head + body[: len(body) // 2])
            backend.end_sending()
            backend.reply(exchange.request.method)
        except (OSError, ConnectionEndedError):
            pass
        finally:
            backend.close()
        return exchange.answer(reply(200, b"{}", "application/json")) if answered else False

    return act


def _wrong_length(difference: int) -> Act:
    def act(exchange: Exchange) -> bool:
        got = exchange.forward()
        exchange.answer(got.with_length(max(0, len(got.body) + difference)))
        return False

    return act


@dataclass(frozen=True)
class Fault:
    """A fault; `says`: what happens, for the table. needs_body: it makes sense for uploads only."""

    says: str
    act: Act
    needs_body: bool = False


FAULTS: dict[str, Fault] = {
    "refuse": Fault("connection refused", _refuse),
    "reset-request": Fault("reset before the request is forwarded", _reset_request),
    "reset-reply": Fault("carried out, then reset", _reset_reply),
    "lost-reply": Fault("carried out, then closed without a byte", _lose_reply),
    "silent-reply": Fault("carried out, never answered", _hold_reply),
    "half-reply": Fault("carried out, half of the reply", _half_reply),
    "black-hole": Fault("accepted, never answered", _black_hole),
    "401": Fault("401", _status(401)),
    "403": Fault("403", _status(403, b"")),
    "404": Fault("404", _status(404)),
    "409": Fault("409", _status(409)),
    "429-1": Fault("429, Retry-After 1", _status(429, Retry_After="1")),
    "429-3600": Fault("429, Retry-After 3600", _status(429, Retry_After="3600")),
    "500": Fault("500", _status(500)),
    "502": Fault("502", _status(502)),
    "503": Fault("503", _status(503)),
    "504": Fault("504", _status(504)),
    "502-after": Fault("carried out, then 502", _status_after(502)),
    "504-after": Fault("carried out, then 504", _status_after(504)),
    "504-early": Fault("504, carried out 0.8 s later", _status_early(504, 0.8)),
    "captive": Fault("200 with an HTML page", _captive),
    "302": Fault("302 to another host", _redirect(302)),
    "307": Fault("307 to another host", _redirect(307)),
    "308": Fault("308 to another host", _redirect(308)),
    "slow-0.2": Fault("0.2 s late", _slow(0.2)),
    "slow-3": Fault("3 s late", _slow(3.0)),
    "short-upload-200": Fault("half of the body is forwarded, 200", _short_upload(answered=True), needs_body=True),
    "short-upload": Fault("half of the body is forwarded, closed", _short_upload(answered=False), needs_body=True),
    "length-long": Fault("Content-Length 10 too long", _wrong_length(10)),
    "length-short": Fault("Content-Length 10 too short", _wrong_length(-10)),
}
