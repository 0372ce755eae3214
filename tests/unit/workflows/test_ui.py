"""Waiting for MLflow's server: as long as it lives, until its health check answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections import deque

import pytest

from cryptoml.errors import UnavailableError
from cryptoml.workflows import ui

SLOW_SERVER = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    for number in range(6):
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            if number < 3:
                continue
            body = b"OK" if number > 3 else b"<html>"
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
"""


def wait_for(script: str, port: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said while the server that `script` plays is waited for."""
    monkeypatch.setattr(ui, "POLL_S", 0.05)
    monkeypatch.setattr(ui, "REPORT_EVERY_S", 0.05)
    said: list[str] = []
    command = [sys.executable, "-c", script, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines: deque[str] = deque(maxlen=5)
        reader = threading.Thread(target=ui._read, args=(process, lines), daemon=True)
        reader.start()
        try:
            ui._wait_until_ready(process, f"http://127.0.0.1:{port}", lines, reader, on_message=said.append)
        finally:
            process.kill()
    return said


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_port_that_is_taken_is_not_yet_a_server_that_is_ready(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    said = wait_for(SLOW_SERVER, port, monkeypatch)
    assert said
    assert all("still starting" in line for line in said)


def test_a_server_that_ends_says_why(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="did not start: no such table"):
        wait_for("print('starting'); print('no such table')", port, monkeypatch)


def test_a_server_that_never_gets_ready_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "READY_WITHIN_S", 0.5)
    with pytest.raises(UnavailableError, match="not ready after"):
        wait_for("import time; time.sleep(60)", port, monkeypatch)


def test_a_port_that_is_bound_but_does_not_listen_is_not_free(port: int) -> None:
    assert ui._is_free(port)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", port))
        assert not ui._is_free(port)
