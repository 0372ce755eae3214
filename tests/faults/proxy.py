"""A proxy on loopback between cryptoml and the stand-in, which damages the nth request of a kind."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.faults.faults import FAULTS, Exchange
from tests.faults.kinds import ANY, kind_of
from tests.faults.wire import ConnectionEndedError, Message, Wire, reply

BACKEND_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Plan:
    """Which requests meet a fault: the nth of the kind and the `times` - 1 that follow it (0: all that follow)."""

    kind: str
    fault: str
    nth: int = 1
    times: int = 1

    def hits(self, number: int) -> bool:
        """Whether the request with this number, from 1, meets the fault."""
        return number >= self.nth and (self.times == 0 or number < self.nth + self.times)

    def __str__(self) -> str:
        return f"{self.kind}:{self.fault}:{self.nth}:{self.times}"


@dataclass(frozen=True)
class Trigger:
    """Calls `call` at the nth request of any kind, before it is forwarded or once it was carried out."""

    nth: int
    after: bool
    call: Callable[[], None]


@dataclass(frozen=True)
class Seen:
    """A request that arrived; `fault` is the one it met."""

    kind: str
    method: str
    path: str
    fault: str


class _Backend(Wire):
    def end_sending(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)


class Proxy:
    """Forwards everything to `target` (http://host:port) until a plan is armed. Its port stays the same."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._lock = threading.Lock()
        self._plan: Plan | None = None
        self._trigger: Trigger | None = None
        self._counts: Counter[str] = Counter()
        self._reopen: threading.Timer | None = None
        self.seen: list[Seen] = []
        self.witness = Witness()
        self._listener = self._bound(0)
        self._port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._closed = False

    def __enter__(self) -> Self:
        self.witness.start()
        self._listen(self._listener)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._shut(self._listener)
        self.witness.stop()

    def arm(self, plan: Plan | None = None, *, trigger: Trigger | None = None) -> None:
        """Begin to count anew; from now on `plan` or `trigger` applies."""
        with self._lock:
            self._plan, self._trigger = plan, trigger
            self._counts.clear()
            self.seen = []
        self.witness.clear()

    def disarm(self) -> list[Seen]:
        """Heal: everything is forwarded again, and the port listens. Returns what was seen since `arm`."""
        with self._lock:
            self._plan = self._trigger = None
            seen, self.seen = self.seen, []
        self._resume()
        return seen

    def stop_listening(self) -> None:
        """Refuse new connections: until healed, or for a second where the plan is for some requests only."""
        with self._lock:
            if self._reopen is not None:
                return
            plan = self._plan
            self._shut(self._listener)
            # Bound and not listening: the port is refused, and nobody else can take it.
            self._listener = self._bound(self._port)
            self._reopen = threading.Timer(1.0 if plan and plan.times else 3600.0, self._resume)
            self._reopen.daemon = True
            self._reopen.start()

    def _resume(self) -> None:
        with self._lock:
            timer, self._reopen = self._reopen, None
            listener = self._listener
        if timer is not None:
            timer.cancel()
            self._listen(listener)

    def forward(self, request: Message) -> Message:
        """Send the request to the backend on a connection of its own; its reply."""
        backend = self.connect()
        try:
            backend.send(request.head + request.body)
            return backend.reply(request.method)
        except (OSError, ConnectionEndedError):
            return reply(502, b"the backend broke off")
        finally:
            backend.close()

    def connect(self) -> _Backend:
        """A connection to the backend."""
        return _Backend(socket.create_connection(self._target, timeout=BACKEND_TIMEOUT_S))

    def _bound(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        return listener

    def _listen(self, listener: socket.socket) -> None:
        listener.listen(128)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    @staticmethod
    def _shut(listener: socket.socket) -> None:
        # Without this, a thread in accept would keep the port open.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while not self._closed:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(Wire(connection),), daemon=True).start()

    def _serve(self, client: Wire) -> None:
        try:
            while (request := client.request()) is not None:
                if not self._handle(client, request):
                    return
        except (OSError, ConnectionEndedError, ValueError):
            return
        finally:
            client.close()

    def _handle(self, client: Wire, request: Message) -> bool:
        fault, trigger = self._note(request)
        exchange = Exchange(self, client, request)
        if fault:
            return FAULTS[fault].act(exchange)
        if trigger and not trigger.after:
            trigger.call()
        got = exchange.forward()
        if trigger and trigger.after:
            trigger.call()
        exchange.answer(got)
        return "close" not in (request.header("connection").lower(), got.header("connection").lower())

    def _note(self, request: Message) -> tuple[str, Trigger | None]:
        kind = kind_of(request.method, request.path)
        with self._lock:
            self._counts[kind] += 1
            self._counts[ANY] += 1
            plan, trigger = self._plan, self._trigger
            hit = plan is not None and plan.kind in (kind, ANY) and plan.hits(self._counts[plan.kind])
            fault = plan.fault if plan and hit else ""
            self.seen.append(Seen(kind, request.method, request.path, fault))
            due = trigger if trigger and self._counts[ANY] == trigger.nth else None
        return fault, due


class Witness:
    """Another host: notes whether a redirected client brought credentials or a body."""

    def __init__(self) -> None:
        self.leaks: list[str] = []
        handler = type("Bound", (_Witnessing,), {"witness": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        # Another host name and another port than the proxy's.
        self.url = f"http://localhost:{self._server.server_address[1]}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def clear(self) -> None:
        self.leaks = []


class _Witnessing(BaseHTTPRequestHandler):
    witness: Witness

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        path = urlsplit(self.path).path
        if "Authorization" in self.headers:
            self.witness.leaks.append(f"{self.command} {path} brought Authorization to another host")
        if int(self.headers.get("Content-Length") or 0) or self.headers.get("Transfer-Encoding"):
            self.witness.leaks.append(f"{self.command} {path} brought a body to another host")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"{}")
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any
