"""An http store: limits and credentials are set for mlflow while it is open, and a death midway costs seconds."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cryptoml.errors import AccessError, UnavailableError
from cryptoml.tracking.store.quiet import import_mlflow
from cryptoml.tracking.store.store import open_store

ABSENT = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}).encode()


@contextmanager
def server(answers: list[tuple[int, bytes] | None]) -> Iterator[tuple[str, list[str | None]]]:
    """Gives the answers one by one, the last one for ever; None is silence."""
    seen: list[str | None] = []
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers[min(len(seen), len(answers) - 1)]
            seen.append(self.headers.get("Authorization"))
            if answer is None:
                stop.wait(30)
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.send_header("Retry-After", "3600")
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, *arguments: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}", seen
    finally:
        stop.set()
        listener.shutdown()
        listener.server_close()


def mlflow_environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name.startswith("MLFLOW_")}


def test_credentials_and_limits_last_as_long_as_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "before")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    import_mlflow()
    outside = mlflow_environment()
    with server([(404, ABSENT)]) as (uri, seen):
        with open_store(f"{uri}/", timeout_s=2.5, username="me", password="token") as store:
            assert store.find_experiment_id("x") is None
            inside = mlflow_environment()
            with store.uploading():
                assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"
            with store.without_retries():
                assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
            assert mlflow_environment() == inside
        assert seen == ["Basic bWU6dG9rZW4="] * 2
    assert inside["MLFLOW_TRACKING_USERNAME"] == "me"
    assert inside["MLFLOW_TRACKING_PASSWORD"] == "token"
    assert inside["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
    assert inside["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert inside["MLFLOW_ALLOW_HTTP_REDIRECTS"] == "false"
    assert mlflow_environment() == outside
    assert "token" not in repr(store)


def test_the_users_own_request_timeout_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    with server([(404, ABSENT)]) as (uri, _), open_store(uri, timeout_s=2) as store:
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
        with store.uploading():
            assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"


def test_a_server_that_falls_silent_midway_costs_seconds() -> None:
    with server([(404, ABSENT), None]) as (uri, seen), open_store(uri, timeout_s=1) as store:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="does not respond"):
            store.experiment_id("x")
        assert time.monotonic() - began < 12
        assert len(seen) == 4


def test_a_retry_after_of_an_hour_is_not_awaited() -> None:
    with server([(404, ABSENT), (429, b"slow down")]) as (uri, _), open_store(uri, timeout_s=1) as store:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="temporarily unavailable \\(429\\)"):
            store.experiment_id("x")
        assert time.monotonic() - began < 12


def test_permissions_revoked_midway_are_reported() -> None:
    answers = [(404, ABSENT), (403, b"")]
    with (
        server(answers) as (uri, _),
        open_store(uri, timeout_s=1) as store,
        pytest.raises(AccessError, match="lack the permission"),
    ):
        store.experiment_id("x")


def test_a_token_does_not_go_over_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccessError, match="plain http"):
        open_store("http://example.org/x.mlflow", username="me", password="token")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token")
    with pytest.raises(AccessError, match="plain http"):
        open_store("http://example.org/x.mlflow")
