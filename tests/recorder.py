"""A server on loopback that notes each request with its headers and body, and answers or redirects."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Noted:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Recorder:
    """Answers 404 like an MLflow server to GET, and redirects all else to `target` with 307; GET too if asked."""

    def __init__(self, target: str = "", *, redirect_reads: bool = True) -> None:
        self.requests: list[Noted] = []
        self.target, self.redirect_reads = target, redirect_reads
        handler = type("Bound", (_Handler,), {"recorder": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.place = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.place}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    recorder: Recorder

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def any_method(self) -> None:
        body = b""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        elif length := int(self.headers.get("Content-Length") or 0):
            body = self.rfile.read(length)
        self.recorder.requests.append(Noted(self.command, self.path, dict(self.headers.items()), body))
        reading = self.command in ("GET", "HEAD")
        answer = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}'
        if self.recorder.target and (self.recorder.redirect_reads or not reading):
            self.send_response(307)
            self.send_header("Location", f"{self.recorder.target}{self.path}")
        else:
            self.send_response(404)
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = do_DELETE = any_method
