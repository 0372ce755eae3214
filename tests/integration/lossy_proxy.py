"""A proxy before a real MLflow server that loses, damages, delays or forges answers, by rules."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Action = Literal[
    "lose",  # forward, then break the connection
    "gateway",  # forward, then answer 502
    "late",  # answer 502, forward a moment later
    "twice",  # forward twice, give the second answer
    "half",  # forward, then send half of the answer
    "halfjson",  # forward, then send half of the answer with a Content-Length that fits
    "reset",  # break the connection, forward nothing
    "hang",  # read the request, never answer
    "slow",  # read the request's body slowly, then forward
    "forge",  # send `raw`, forward nothing
]
LATE_S = 0.6


@dataclass
class Rule:
    """Applies to requests "METHOD path" that match `pattern`, from the `first` to the `last` of them."""

    pattern: str
    action: Action
    first: int = 1
    last: int = 10**9
    raw: bytes = b""
    hits: int = 0


@dataclass
class Lossy:
    """The proxy's state. `requests` has "METHOD path" of each request, `bodies` the bodies beside them."""

    port: int = 0
    upstream: int = 0
    rules: list[Rule] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, pattern: str) -> int:
        return len([one for one in self.requests if re.search(pattern, one)])

    def clear(self) -> None:
        self.rules.clear()
        self.requests.clear()
        self.bodies.clear()
        self.connections.clear()

    def note(self, line: str, body: bytes, client: Any) -> Rule | None:
        with self.lock:
            self.requests.append(line)
            self.bodies.append(body)
            self.connections.add((line.split()[0], client))
            for rule in self.rules:
                if re.search(rule.pattern, line):
                    rule.hits += 1
                    if rule.first <= rule.hits <= rule.last:
                        return rule
        return None


def answer(status: str = "200 OK", body: bytes = b"", *headers: str) -> bytes:
    """A whole answer for the action `forge`."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Handler(BaseHTTPRequestHandler):
    lossy: Lossy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        slow = any(rule.action == "slow" and re.search(rule.pattern, self._line()) for rule in self.lossy.rules)
        body = self._read_slowly(size) if slow else self.rfile.read(size)
        rule = self.lossy.note(self._line(), body, self.client_address)
        action = rule.action if rule else "slow"
        if action == "hang":
            self.lossy.stop.wait(60)
        elif action == "forge" and rule:
            self.wfile.write(rule.raw)
            self.close_connection = b"Connection: close" in rule.raw
        elif action == "late":
            self.wfile.write(answer("502 Bad Gateway"))
            time.sleep(LATE_S)
            self._forward(body)
        elif action != "reset":
            if action == "twice":
                self._forward(body)
            status, kind, text = self._forward(body)
            if action == "gateway":
                self.wfile.write(answer("502 Bad Gateway"))
            elif action != "lose":
                told = len(text) if action != "half" else len(text) + 10
                sent = text[: len(text) // 2] if action == "halfjson" else text
                whole = answer(str(status), sent, f"Content-Type: {kind}")
                self.wfile.write(whole.replace(b"Content-Length: %d" % len(text), b"Content-Length: %d" % told))
        if action not in ("slow", "late", "twice", "gateway", "forge"):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def _line(self) -> str:
        return f"{self.command} {self.path}"

    def _read_slowly(self, size: int) -> bytes:
        parts = []
        while size > 0:
            parts.append(self.rfile.read(min(size, 1 << 16)))
            size -= len(parts[-1])
            time.sleep(0.02)
        return b"".join(parts)

    def _forward(self, body: bytes) -> tuple[int, str, bytes]:
        headers = {
            name: text for name, text in self.headers.items() if name.lower() in ("content-type", "authorization")
        }
        upstream = http.client.HTTPConnection("127.0.0.1", self.lossy.upstream, timeout=60)
        try:
            upstream.request(self.command, self.path, body=body, headers=headers)
            reply = upstream.getresponse()
            return reply.status, reply.getheader("Content-Type", "text/plain"), reply.read()
        finally:
            upstream.close()


@contextmanager
def lossy_proxy(upstream: int) -> Iterator[Lossy]:
    """A proxy for the server on that port of this machine."""
    lossy = Lossy(upstream=upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"lossy": lossy}))
    server.daemon_threads = True
    lossy.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield lossy
    finally:
        lossy.stop.set()
        server.shutdown()
        server.server_close()
