"""The real MLflow server behind the stand-in, started when it is first asked for."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

START_WITHIN_S = 120.0


class MlflowBackend:
    """`port()` starts the server if need be. It dies with this process, however that ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def port(self) -> int:
        with self._lock:
            if self._process is None:
                # The kernel's "die with your parent" means the parent's thread: this one stays.
                threading.Thread(target=self._keep, daemon=True).start()
                self._await()
            return self._port

    def stop(self) -> None:
        if self._process is not None:
            # The server starts workers of its own.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _keep(self) -> None:
        self._start()
        if self._process is not None:
            self._process.wait()

    def _start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.folder.mkdir(parents=True, exist_ok=True)
        environ = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")}
        log = (self.folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port),
                "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}",
                "--artifacts-destination", str(self.folder / "artifacts"), "--serve-artifacts", "--workers", "1",
                "--allowed-hosts", "*",
            ],
            cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            preexec_fn=_die_with_parent,
        )  # fmt: skip
        log.close()

    def _await(self) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and (self._process is None or self._process.poll() is None):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError((self.folder / "server.log").read_text(errors="replace")[-2000:])


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
