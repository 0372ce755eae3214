"""A real Airflow on loopback: scheduler, dag-processor and api-server from Airflow's own environment, over REST."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.conftest import REPOSITORY, clean_environ

AIRFLOW_BIN = REPOSITORY / "airflow" / ".venv" / "bin"
DAGS = REPOSITORY / "airflow" / "dags"
DAG_IDS = ("crypto_training", "crypto_training_by_symbol")


@dataclass(frozen=True)
class DagRun:
    """One run, seen over REST."""

    airflow: Airflow
    dag_id: str
    run_id: str

    @property
    def path(self) -> str:
        return f"/dags/{self.dag_id}/dagRuns/{quote(self.run_id)}"

    def state(self) -> str:
        return str(self.airflow.call("GET", self.path)["state"])

    def tasks(self) -> dict[tuple[str, int], dict[str, Any]]:
        """(task, map index) -> task instance."""
        found = self.airflow.call("GET", f"{self.path}/taskInstances")["task_instances"]
        return {(one["task_id"], one["map_index"]): one for one in found}

    def task(self, task_id: str) -> dict[str, Any]:
        return self.tasks()[task_id, -1]

    def end(self, expected: str, timeout_s: float = 150) -> DagRun:
        """Wait for the end of the run, which must be `expected`."""
        done = self.airflow.wait(self._ended, f"{self.run_id} goes on and on", timeout_s)
        assert done == expected, self._told()
        return self

    def _ended(self) -> str | None:
        state = self.state()
        return state if state in ("success", "failed") else None

    def until(self, task_id: str, holds: Callable[[dict[str, Any]], bool], timeout_s: float = 90) -> dict[str, Any]:
        """Wait until a task instance is as wanted; it."""

        def found() -> dict[str, Any] | None:
            task = self.task(task_id)
            return task if holds(task) else None

        found_task: dict[str, Any] = self.airflow.wait(found, f"{task_id}: {self.task(task_id)}", timeout_s)
        return found_task

    def clear(self, *task_ids: str) -> None:
        """Clear tasks, or all of them."""
        wanted = {"task_ids": list(task_ids)} if task_ids else {}
        document = {"dry_run": False, "dag_run_id": self.run_id, "only_failed": False, **wanted}
        assert self.airflow.call("POST", f"/dags/{self.dag_id}/clearTaskInstances", document)["total_entries"]

    def xcom(self, task_id: str, map_index: int = -1) -> Any:
        """What a task handed on."""
        place = f"{self.path}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.airflow.call("GET", f"{place}?deserialize=true&map_index={map_index}")["value"]

    def log(self, task_id: str, try_number: int, map_index: int = -1) -> str:
        """The lines of one try."""
        place = f"{self.path}/taskInstances/{task_id}/logs/{try_number}"
        content = self.airflow.call("GET", f"{place}?map_index={map_index}&full_content=true")["content"]
        return "\n".join(str(line.get("event", "")) for line in content)

    def _told(self) -> str:
        failed = [key for key, one in self.tasks().items() if one["state"] not in ("success", None)]
        tails = [f"--- {key}\n{self._tail(*key)}" for key in failed]
        return "\n".join([f"{self.run_id}: {self.state()}", *tails])

    def _tail(self, task_id: str, map_index: int) -> str:
        tries = self.tasks()[task_id, map_index]["try_number"]
        return self.log(task_id, tries, map_index)[-2500:] if tries else "was not tried"


class Airflow:
    """One Airflow in `folder`; `options` are the variable `cryptoml`. Ends with all its processes in `stop`."""

    def __init__(self, folder: Path, *, project: Path, environ: Mapping[str, str], options: Mapping[str, Any]) -> None:
        self.folder = folder
        self.project = project
        self.port = _free_port()
        self.environ = self._environ(environ)
        self._options = dict(options)
        self._token = ""
        self._services: list[subprocess.Popen[bytes]] = []

    def _environ(self, extra: Mapping[str, str]) -> dict[str, str]:
        environ = clean_environ(self.folder / "user")
        settings = {
            "CORE__DAGS_FOLDER": str(DAGS),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__PARALLELISM": "4",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "API__HOST": "127.0.0.1",
            "API__PORT": str(self.port),
            "API__WORKERS": "1",
            "API__SECRET_KEY": "loopback",
            "API_AUTH__JWT_SECRET": "loopback-only-loopback-only-loopback-only-loopback-only-loopback",
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            # A worker that died is noticed in seconds, not in five minutes.
            "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "LOGGING__LOGGING_LEVEL": "INFO",
            "USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        return {
            **environ,
            "AIRFLOW_HOME": str(self.folder),
            **{f"AIRFLOW__{name}": text for name, text in settings.items()},
            # First the environment of cryptoml: only `airflow` itself is called by its full path.
            "PATH": f"{Path(sys.executable).parent}:{environ['PATH']}",
            "CRYPTOML_PROJECT_DIR": str(self.project),
            **extra,
        }

    def start(self) -> None:
        """Start the services; returns when the DAGs are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.command("db", "migrate")
        self._launch("api-server", "scheduler")
        self.wait(self._answers, "the api-server does not answer")
        self.call("POST", "/variables", {"key": "cryptoml", "value": json.dumps(self._options)})
        self.call("POST", "/pools", {"name": "cryptoml_training", "slots": 2})
        # Read with the DAGs: the schedule is among the options.
        self._launch("dag-processor")
        for dag_id in DAG_IDS:
            self.wait(partial(self._unpaused, dag_id), f"{dag_id} is not there")

    def _launch(self, *names: str) -> None:
        for name in names:
            with (self.folder / f"{name}.log").open("wb") as log:
                process = subprocess.Popen(
                    [AIRFLOW_BIN / "airflow", name],
                    env=self.environ,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._services.append(process)

    def stop(self) -> None:
        """End every process that was started, and those that they started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._services:
                _signal_group(process.pid, number)
            end = time.monotonic() + 8
            while time.monotonic() < end and any(process.poll() is None for process in self._services):
                time.sleep(0.1)
        for process in self._services:
            process.wait()

    def command(self, *arguments: str) -> str:
        """Run `airflow ARGUMENTS`; its output."""
        done = subprocess.run(
            [AIRFLOW_BIN / "airflow", *arguments],
            env={**self.environ, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"airflow {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def call(self, method: str, path: str, document: object = None) -> Any:
        """One request to the REST interface; raises AssertionError with what it said when it refuses."""
        status, answer = self.ask(method, path, document)
        end = time.monotonic() + 60
        # Airflow's SQLite file is locked at times on a busy machine; nothing has been changed then.
        while status == 500 and "Database error" in str(answer) and time.monotonic() < end:
            time.sleep(1)
            status, answer = self.ask(method, path, document)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def ask(self, method: str, path: str, document: object = None) -> tuple[int, Any]:
        """One request; the status and the answer, whatever they are."""
        if not self._token:
            self._token = self._raw("GET", "/auth/token", None)[1]["access_token"]
        return self._raw(method, f"/api/v2{path}", document)

    def _raw(self, method: str, path: str, document: object) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"}
            | ({"Authorization": f"Bearer {self._token}"} if self._token else {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode(errors="replace")

    def choose(self, **options: Any) -> None:
        """Change keys of the variable `cryptoml`; the next try of a task sees them."""
        self._options |= options
        self.call("PATCH", "/variables/cryptoml", {"key": "cryptoml", "value": json.dumps(self._options)})

    def trigger(self, dag_id: str, **conf: Any) -> DagRun:
        """Start a run with these parameters."""
        answer = self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return DagRun(self, dag_id, answer["dag_run_id"])

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "/dags")[0] == 200
        except OSError:
            return False

    def _unpaused(self, dag_id: str) -> bool:
        return self.ask("PATCH", f"/dags/{dag_id}", {"is_paused": False})[0] == 200

    def wait(self, holds: Callable[[], Any], otherwise: str, timeout_s: float = 90) -> Any:
        """Poll until `holds()` is true and return that; fails with `otherwise` and the services' last words."""
        end = time.monotonic() + timeout_s
        while True:
            found = holds()
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"{otherwise}\n{self._last_words()}")
            time.sleep(0.25)

    def _last_words(self) -> str:
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
