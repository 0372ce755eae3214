"""MLflow's own pages: its server on loopback for a local store, the address for a server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable

from cryptoml import events
from cryptoml.errors import UnavailableError, UsageError
from cryptoml.settings import Settings
from cryptoml.tracking.translate import masked
from cryptoml.workflows.tracker import open_project_store

READY_WITHIN_S = 90.0


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

    if not _free(port):
        raise UsageError(f"port {port} is in use.", mend=f"choose another: cryptoml ui --port {port + 1}")
    with open_project_store(settings, on_event=report) as store:
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
    try:
        _wait(process, port)
        address = f"http://127.0.0.1:{port}"
        tell(f"MLflow on {masked(uri)}: {address} (Ctrl-C ends it)")
        if browser:
            webbrowser.open(address)
        assert process.stdout is not None
        for _ in process.stdout:
            # Read on, or the server would stop at a full pipe.
            pass
        if process.wait():
            raise UnavailableError(f"MLflow's server ended with {process.returncode}.", mend="cryptoml doctor")
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: subprocess.Popen[str], port: int) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        if not _free(port):
            return
        time.sleep(0.2)
    process.terminate()
    said = process.communicate()[0].strip().splitlines()[-1:] or ["it says nothing"]
    raise UnavailableError(f"MLflow's server does not start: {said[0]}", mend="cryptoml doctor")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
