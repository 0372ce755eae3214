"""Open the MLflow UI: start a server on loopback for a local store, or open the tracking server's address."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from collections import deque
from collections.abc import Callable

from cryptoml import events
from cryptoml.errors import UnavailableError, UsageError
from cryptoml.settings import Settings
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.project_store import BROWSE, open_project_store

# On a busy machine, the server takes minutes to start.
READY_WITHIN_S = 600.0
REPORT_EVERY_S = 20.0
POLL_S = 0.3
LINES_KEPT = 20


def open_pages(settings: Settings, *, port: int, browser: bool, on_message: Callable[[str], None]) -> None:
    """Serve until stopped, or open the tracking server's page. Raise UnavailableError if the server does not start."""
    uri = settings.mlflow_uri()
    if uri.startswith(("http://", "https://")):
        # DagsHub serves the MLflow UI at the tracking address.
        on_message(f"MLflow on {masked(uri)}")
        if browser:
            webbrowser.open(uri)
        return

    def report(event: events.Event) -> None:
        if isinstance(event, (events.Info, events.Warned)):
            on_message(event.text)

    if not _is_free(port):
        raise UsageError(f"port {port} is in use.", hint=f"choose another: cryptoml ui --port {port + 1}")
    with open_project_store(settings, BROWSE, on_event=report) as store:
        root = store.artifacts_root or "mlflow-artifacts:/"
        # The database URI may contain a password, and all users can read command lines.
        address_of_store = {"MLFLOW_BACKEND_STORE_URI": store.uri}
    # One worker is enough for one user; each takes 400 MB.
    command = [
        sys.executable, "-m", "mlflow", "server", "--default-artifact-root", root,
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    environ = {**os.environ, **address_of_store, "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)  # fmt: skip
    lines: deque[str] = deque(maxlen=LINES_KEPT)
    reader = threading.Thread(target=_read, args=(process, lines), name="server-output", daemon=True)
    reader.start()
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}", lines, reader, on_message=on_message)
        address = f"http://127.0.0.1:{port}"
        on_message(f"MLflow on {masked(uri)}: {address} (stop with Ctrl-C)")
        if browser:
            webbrowser.open(address)
        if process.wait():
            raise UnavailableError(f"the MLflow server exited with code {process.returncode}.", hint="cryptoml doctor")
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()


def _read(process: subprocess.Popen[str], lines: deque[str]) -> None:
    """Read the server's output until it ends; a full pipe would block the server."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip():
            lines.append(line.strip())


def _wait_until_ready(
    process: subprocess.Popen[str],
    address: str,
    lines: deque[str],
    reader: threading.Thread,
    *,
    on_message: Callable[[str], None],
) -> None:
    """Wait until the health check succeeds. Raise UnavailableError if the server exits or takes too long."""
    began = reported = time.monotonic()
    while process.poll() is None:
        if _is_healthy(address):
            return
        now = time.monotonic()
        if now - began > READY_WITHIN_S:
            raise UnavailableError(
                f"the MLflow server is not ready after {READY_WITHIN_S:,.0f} s.", hint="cryptoml doctor"
            )
        if now - reported >= REPORT_EVERY_S:
            reported = now
            on_message(f"the MLflow server is still starting ({now - began:.0f} s)")
        time.sleep(POLL_S)
    reader.join(5)
    last_line = lines[-1] if lines else "no output"
    raise UnavailableError(f"the MLflow server did not start: {last_line}", hint="cryptoml doctor")


def _is_healthy(address: str) -> bool:
    """Whether an MLflow server is healthy at the address; another service on the port is not."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/health", timeout=5) as response:
            return bool(response.read(16).strip() == b"OK")
    except (OSError, http.client.HTTPException):
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
