"""Probing a server before mlflow uses it: each response has its error, and no response takes only seconds."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.server_probe import (
    check_address,
    check_response,
    is_loopback,
    probe_http,
    probe_tcp,
    run_with_timeout,
)

ABSENT = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no experiment"})
UNSUPPORTED = json.dumps({"error": "unsupported endpoint, please contact support@dagshub.com"})


@contextmanager
def silent_server() -> Iterator[int]:
    """Start a server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def dripping_server() -> Iterator[int]:
    """Start a server that sends a header byte from time to time, so that no single read times out."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while not stop.wait(0.2):
                    try:
                        connection.send(b"H")
                    except OSError:
                        return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        stop.set()


@contextmanager
def answering_server(status: int, body: str, seen: list[str | None]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("make", [silent_server, dripping_server])
def test_a_server_that_never_responds_times_out(make) -> None:
    with make() as port:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match=r"no response within 0\.5 s"):
            probe_http(f"http://127.0.0.1:{port}", timeout_s=0.5, credentials=None)
        assert time.monotonic() - began < 3


def test_a_closed_port_is_reported_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="connection refused"):
        probe_http(f"http://127.0.0.1:{port}", timeout_s=5, credentials=None)
    with pytest.raises(UnavailableError, match="refused"):
        probe_tcp(f"postgresql://user:secret@127.0.0.1:{port}/db", timeout_s=5, default_port=5432)
    assert time.monotonic() - began < 3


def test_a_database_password_is_not_shown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UnavailableError) as caught:
        probe_tcp(f"postgresql://user:secret@127.0.0.1:{port}/db", timeout_s=5, default_port=5432)
    assert "secret" not in str(caught.value)


def test_a_server_that_accepts_the_credentials_passes() -> None:
    seen: list[str | None] = []
    with answering_server(404, ABSENT, seen) as port:
        probe_http(f"http://127.0.0.1:{port}/", timeout_s=2, credentials=("me", "token"))
    assert seen == ["Basic bWU6dG9rZW4="]


def test_a_redirect_is_not_followed_with_the_token() -> None:
    seen: list[str | None] = []
    with answering_server(302, "", seen) as port, pytest.raises(ConfigError, match="redirects to another address"):
        probe_http(f"http://127.0.0.1:{port}", timeout_s=2, credentials=("me", "token"))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("status", "text", "error", "words"),
    [
        (401, "unauthorized", AccessError, "rejected these credentials"),
        (403, "", AccessError, "lack the permission"),
        (403, "Invalid Host header - possible DNS rebinding", ConfigError, "rejected this host name"),
        (404, "<html>not found</html>", ConfigError, "no MLflow server at this address"),
        (404, UNSUPPORTED, ConfigError, "does not support this request"),
        (200, "<html>welcome</html>", ConfigError, "not an MLflow server"),
        (200, "[]", ConfigError, "not an MLflow server"),
        (429, "slow down", UnavailableError, "temporarily unavailable"),
        (503, "", UnavailableError, "temporarily unavailable"),
        (418, "teapot", ConfigError, "418"),
    ],
)
def test_each_response_has_its_error(status: int, text: str, error: type[CryptomlError], words: str) -> None:
    with pytest.raises(error, match=words):
        check_response(status, text, "https://example.org/a/b.mlflow")


def test_responses_of_an_mlflow_server_pass() -> None:
    check_response(404, ABSENT, "https://example.org")
    check_response(200, json.dumps({"experiment": {}}), "https://example.org")


def test_a_token_is_sent_over_https_or_to_loopback_only() -> None:
    with pytest.raises(AccessError, match="plain http"):
        check_address("http://example.org/mlflow", with_credentials=True)
    check_address("http://example.org/mlflow", with_credentials=False)
    check_address("https://example.org/mlflow", with_credentials=True)
    check_address("http://127.0.0.1:5000", with_credentials=True)


def test_a_secret_in_an_address_is_rejected_and_masked() -> None:
    with pytest.raises(ConfigError) as caught:
        check_address("https://me:secret@example.org/x", with_credentials=False)
    assert "secret" not in str(caught.value)
    assert "***@example.org" in str(caught.value)


@pytest.mark.parametrize("uri", ["http://", "http://host:port", "https:///path", "http://[abc", "http://[::1/x"])
def test_an_address_without_a_host_is_rejected(uri: str) -> None:
    with pytest.raises(ConfigError, match="not a valid address"):
        check_address(uri, with_credentials=False)


def test_a_secret_in_an_invalid_address_is_masked() -> None:
    assert masked("https://me:secret@[abc/x") == "***@[abc/x"
    assert masked("https://[abc/x") == "https://[abc/x"


def test_loopback_addresses() -> None:
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.3.2.1", "::1"))
    assert not any(is_loopback(host) for host in ("example.org", "10.0.0.1", "localhost.example.org"))


def test_errors_are_raised_in_the_calling_thread() -> None:
    assert run_with_timeout(1, lambda: 5) == 5
    with pytest.raises(KeyError):
        run_with_timeout(1, lambda: {}["x"])
    with pytest.raises(TimeoutError):
        run_with_timeout(0.05, lambda: time.sleep(0.5))


HALF = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def raw_server(reply: bytes) -> Iterator[int]:
    """Start a server that sends the same bytes to each connection and closes it."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    continue
                with connection:
                    connection.settimeout(5)
                    connection.recv(65536)
                    connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        stop.set()
        thread.join(5)


@pytest.mark.parametrize(
    "reply",
    [
        HALF + b'Content-Length: 400\r\n\r\n{"experiment": {"exp',
        HALF + b'Content-Length: 12\r\n\r\n{"experimen\n',
        HALF + b"Content-Length: 0\r\n\r\n",
        HALF + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        HALF + b'Transfer-Encoding: chunked\r\n\r\n40\r\n{"experiment"',
        HALF + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
        HALF + b"Content-Length: 5\r\n\r\n\xff\xfe\x00\x01\x02",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"garbage that is no HTTP\r\n\r\n",
        b"",
    ],
)  # fmt: skip
def test_an_incomplete_response_means_unavailable(reply: bytes) -> None:
    with raw_server(reply) as port, pytest.raises(UnavailableError) as caught:
        probe_http(f"http://127.0.0.1:{port}", timeout_s=5, credentials=None)
    assert caught.value.hint


STOPPED = """
import time
from cryptoml.tracking.store.server_probe import run_with_timeout

def work():
    # By then the caller waits.
    time.sleep(0.5)
    print("started", flush=True)
    for _ in range(20):
        time.sleep(0.05)
    return "done"

print(run_with_timeout(4, work), flush=True)
"""


def test_time_while_the_process_is_suspended_does_not_count() -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(5)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "done\n"
