"""The stand-in's routes: who asks, may they, and who answers."""

from __future__ import annotations

import base64
import email.utils
import gzip
import http.client
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from tests.standin.mlflow_backend import MlflowBackend
from tests.standin.state import Repository, State

UNSUPPORTED = json.dumps({"error": "unsupported endpoint, please contact support@dagshub.com"}).encode()
PAGE = b"<!DOCTYPE html><html><body>a page of the site</body></html>"
LEGACY = re.compile(r"/api/(2\.0/mlflow/(logged-models|runs/outputs)|3\.0/)|/ajax-api/3\.0/")
KNOWN = re.compile(r"/(api|ajax-api|version|health|graphql|static-files|get-artifact|$)")
WRITES = ("POST", "PUT", "PATCH", "DELETE")
# POST requests of MLflow that only read.
READING = re.compile(r"/(search|get-history|get-history-bulk|batch-get)[\w-]*$|/logged-models/search$")


class Standin:
    """The server; `url` is its host address. Thread-safe; one for a whole test session."""

    def __init__(self, root: Path, port: int = 0) -> None:
        self.state = State(root)
        self.mlflow = MlflowBackend(root / "mlflow")
        handler = type("Bound", (_Handler,), {"standin": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.mlflow.stop()


class _Handler(BaseHTTPRequestHandler):
    standin: Standin
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        now = time.time() if timestamp is None else timestamp
        return email.utils.formatdate(now + self.standin.state.clock_skew_s, usegmt=True)

    def handle_any(self) -> None:
        state = self.standin.state
        self.user = self._who()
        number = state.count()
        if state.mode == "down-at" and number >= state.down_from:
            state.note(self.command, self.path, 0, self.user, "Authorization" in self.headers)
            self.close_connection = True
            self.connection.close()
            return
        if state.mode == "slow":
            time.sleep(state.delay_s)
        self.body_read = False
        try:
            if state.mode == "flaky" and number % state.nth == 0:
                self.answer(503, b"try again", "text/plain")
            elif state.mode == "throttle" and number % state.nth == 0:
                self.answer(429, b"slow down", "text/plain", {"Retry-After": "1"})
            else:
                self._route()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any

    # Who asks

    def _who(self) -> str | None:
        """The user of the token, by Bearer or Basic; None for nobody. The user name "token" is nobody's."""
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        tokens = self.standin.state.tokens
        if kind == "Bearer":
            return tokens.get(text)
        if kind != "Basic":
            return None
        try:
            user, _, password = base64.b64decode(text).decode().partition(":")
        except ValueError:
            return None
        owner = tokens.get(password)
        return owner if owner and user in (owner, password) else None

    # Where to

    def _route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/v1/"):
            self._rest(path.removeprefix("/api/v1/").strip("/"))
            return
        found = re.match(r"/([\w.-]+/[\w.-]+?)\.(mlflow|dvc|git)(/.*|$)", path)
        if not found:
            page = re.match(r"/[\w.-]+/[\w.-]+/(api|ajax-api)/", path) is not None or path.count("/") == 2
            self.answer(200 if page else 404, PAGE if page else b"not found", "text/html" if page else "text/plain")
            return
        slug, part, rest = found[1], found[2], found[3]
        repository = self._allowed(slug, writing=self._writes(part, path))
        if repository is None:
            return
        {"mlflow": self._mlflow, "dvc": self._dvc, "git": self._git}[part](repository, rest)

    def _writes(self, part: str, path: str) -> bool:
        if part == "git":
            return "git-receive-pack" in self.path
        return self.command in WRITES and not (part == "mlflow" and READING.search(path))

    def _allowed(self, slug: str, *, writing: bool) -> Repository | None:
        """The repository if this user may do this; the refusal is answered here."""
        repository = self.standin.state.find(slug)
        if self.user is None and (
            writing or repository is None or repository.private or "Authorization" in self.headers
        ):
            self.answer(401, b"unauthorized", "text/plain", {"WWW-Authenticate": 'Basic realm="dagshub"'})
        elif repository is None or (repository.permission(self.user) == "none" and self.user is not None):
            self.answer(404, b"not found", "text/plain")
        elif writing and (repository.permission(self.user) == "pull" or self.standin.state.mode == "readonly"):
            self.answer(403, b"", "text/plain")
        else:
            return repository
        return None

    # The parts

    def _rest(self, path: str) -> None:
        state = self.standin.state
        if self.user is None:
            self.answer(401, b'{"message": "unauthorized"}')
        elif path == "user":
            self.document(200, {"id": 1, "login": self.user, "username": self.user, "full_name": "", "email": ""})
        elif self.command == "POST" and (path == "user/repos" or re.fullmatch(r"org/[\w.-]+/repos", path)):
            asked = json.loads(b"".join(self.body()) or b"{}")
            owner = self.user if path == "user/repos" else path.split("/")[1]
            name = str(asked.get("name", ""))
            if owner not in (self.user, "coin-fund"):
                self.answer(404, b"{}")
            elif state.find(f"{owner}/{name}") or not re.fullmatch(r"[\w.-]+", name):
                self.document(422, {"message": "repository exists or bad name"})
            else:
                made = state.new_repository(owner, name, private=bool(asked.get("private")))
                self.document(201, self._described(made))
        elif path.startswith("repos/"):
            repository = state.find(path.removeprefix("repos/"))
            if repository is None or repository.permission(self.user) == "none":
                self.answer(404, b'{"message": "not found"}')
            else:
                self.document(200, self._described(repository))
        else:
            self.answer(404, b"{}")

    def _described(self, repository: Repository) -> dict[str, object]:
        may = repository.permission(self.user)
        return {
            "id": 1, "name": repository.name, "full_name": repository.slug, "private": repository.private,
            "default_branch": "main",
            "permissions": {"admin": may == "admin", "push": may in ("admin", "push"), "pull": may != "none"},
        }  # fmt: skip

    def _dvc(self, repository: Repository, rest: str) -> None:
        folder = self.standin.state.dvc_folder(repository.slug)
        path = (folder / rest.strip("/")).resolve()
        if not path.is_relative_to(folder.resolve()):
            self.answer(404, b"")
        elif self.command in ("GET", "HEAD"):
            self.answer(200, path.read_bytes()) if path.is_file() else self.answer(404, b"not found", "text/plain")
        elif self.standin.state.mode == "storage-full":
            self.answer(507, b"insufficient storage", "text/plain")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{threading.get_ident()}")
            with partial.open("wb") as file:
                file.writelines(self.body())
            partial.replace(path)
            self.answer(200, b"")

    def _mlflow(self, repository: Repository, rest: str) -> None:
        mode = self.standin.state.mode
        body = b"".join(self.body())
        if self.standin.state.mlflow_down:
            self.answer(503, b"upstream is away", "text/plain")
        elif not KNOWN.match(rest) or (mode == "legacy" and LEGACY.search(rest)):
            self.answer(404, UNSUPPORTED)
        elif mode == "no-model-id" and b'"model_id"' in body and re.search(r"log-(metric|batch)$", rest):
            self.document(400, {"error_code": "BAD_REQUEST", "message": "unknown field model_id"})
        elif mode == "storage-full" and "mlflow-artifacts" in rest and self.command in WRITES:
            self.answer(507, b"insufficient storage", "text/plain")
        else:
            self._forward(rest, body)

    def _forward(self, rest: str, body: bytes) -> None:
        query = urlsplit(self.path).query
        upstream = http.client.HTTPConnection("127.0.0.1", self.standin.mlflow.port(), timeout=60)
        dropped = ("authorization", "connection", "transfer-encoding", "content-length", "host")
        headers = {name: text for name, text in self.headers.items() if name.lower() not in dropped}
        try:
            path = urlsplit(self.path).path
            raw = path[path.index(".mlflow") + len(".mlflow") :] or "/"
            upstream.request(self.command, raw + (f"?{query}" if query else ""), body=body, headers=headers)
            reply = upstream.getresponse()
            kind = reply.getheader("Content-Type", "application/octet-stream")
            self.answer(reply.status, reply.read(), kind)
        finally:
            upstream.close()

    def _git(self, repository: Repository, rest: str) -> None:
        """git's own server side, as CGI."""
        folder = self.standin.state.git_folder(repository.slug)
        body = b"".join(self.body())
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        environ = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(folder.parent), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{folder.name}{rest}", "REQUEST_METHOD": self.command, "REMOTE_USER": self.user or "",
            "QUERY_STRING": urlsplit(self.path).query, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HOME": str(self.standin.state.root), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=environ, capture_output=True, check=False)
        head, _, payload = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0]) if done.returncode == 0 else 500
        self.answer(status, payload, headers.pop("Content-Type", "text/plain"), headers)

    # In and out

    def body(self) -> Iterator[bytes]:
        """The body of the request, chunked or not, once."""
        self.body_read = True
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        elif length := int(self.headers.get("Content-Length") or 0):
            yield self.rfile.read(length)

    def document(self, status: int, document: object) -> None:
        self.answer(status, json.dumps(document).encode())

    def answer(
        self, status: int, body: bytes, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        if not self.body_read:
            # What is not read would be taken for the next request.
            for _ in self.body():
                pass
        self.standin.state.note(self.command, self.path, status, self.user, "Authorization" in self.headers)
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def running(root: Path, port: int = 0) -> Iterator[Standin]:
    """A stand-in that serves until the block ends."""
    with Standin(root, port) as standin:
        yield standin
