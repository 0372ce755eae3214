"""A webhook on loopback that remembers what was posted to it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook:
    """`messages`: every document posted, in order."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        received = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/services/planted-webhook-path"

    def ids(self, run_id: str) -> list[str]:
        """The alerts of one run: task and try, in order."""
        return [one["id"].split(f"/{run_id}/")[1] for one in self.messages if one["run_id"] == run_id]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
