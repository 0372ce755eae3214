"""MLflow's own pages: its server on loopback for a local store, the address for a server."""

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

# A server that lives is waited for: on a busy machine it starts in minutes.
READY_WITHIN_S = 600.0
REPORT_EVERY_S = 20.0
POLL_S = 0.3
LINES_KEPT = 20


def open_pages(settings: Settings, *, port: int, browser: bool, tell: Callable[[str], None]) -> None:
    """Serve until stopped, or only open the pages of a server; raises UnavailableError when it does not start."""
    uri = settings.mlflow_uri()
    if uri.startswith(("http://", "https://")):
        # DagsHub shows its own pages at the repository, MLflow's at the tracking address.
        tell(f"the runs are at {masked(uri)}")
        if browser:
            webbrowser.open(uri)
        return

    def report(event: events.Event) -> None:
        if isinstance(event, (events.Info, events.Warned)):
            tell(event.text)

    if not _is_free(port):
        raise UsageError(f"port {port} is in use.", hint=f"choose another: cryptoml ui --port {port + 1}")
    with open_project_store(settings, BROWSE, on_event=report) as store:
        root = store.artifacts_root or "mlflow-artifacts:/"
        # A database's address may hold a password, and a command line is there for all users to read.
        address_of_store = {"MLFLOW_BACKEND_STORE_URI": store.uri}
    # One worker: people look at pages one at a time, and each worker takes 400 MB.
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
        _wait_until_ready(process, f"http://127.0.0.1:{port}", lines, reader, tell=tell)
        address = f"http://127.0.0.1:{port}"
        tell(f"MLflow on {masked(uri)}: {address} (Ctrl-C ends it)")
        if browser:
            webbrowser.open(address)
        if process.wait():
            raise UnavailableError(f"MLflow's server ended with {process.returncode}.", hint="cryptoml doctor")
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()


def _read(process: subprocess.Popen[str], lines: deque[str]) -> None:
    """Read the server's output to its end, or the server would stop at a full pipe."""
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
    tell: Callable[[str], None],
) -> None:
    """Wait until the server answers its health check; raises UnavailableError when it ends, or takes too long."""
    began = reported = time.monotonic()
    while process.poll() is None:
        if _is_healthy(address):
            return
        now = time.monotonic()
        if now - began > READY_WITHIN_S:
            raise UnavailableError(
                f"MLflow's server is not ready after {READY_WITHIN_S:,.0f} s.", hint="cryptoml doctor"
            )
        if now - reported >= REPORT_EVERY_S:
            reported = now
            tell(f"MLflow's server is still starting ({now - began:.0f} s)")
        time.sleep(POLL_S)
    reader.join(5)
    said = lines[-1] if lines else "it says nothing"
    raise UnavailableError(f"MLflow's server does not start: {said}", hint="cryptoml doctor")


def _is_healthy(address: str) -> bool:
    """Whether MLflow's server answers there; a port that is merely taken does not count."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/health", timeout=5) as answer:
            return bool(answer.read(16).strip() == b"OK")
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
