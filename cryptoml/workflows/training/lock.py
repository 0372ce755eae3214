"""Allow one training at a time per output, so that two starts by a scheduler do not compete.

Trainings have the same output if they have the same project folder, store, experiment, registered model and data
file. Trainings on different data, such as one per symbol, run in parallel. The models and parameters are not part of
the output: trainings of different models compete for the same version.

The operating system releases the lock when the process ends, so a lock is never stale. On a file system without
locks, filelock uses a marker file and checks whether the process in it is running.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptoml import events
from cryptoml.errors import UnavailableError
from cryptoml.settings import Settings
from cryptoml.system.files import locked, translate_os_errors, write_atomically
from cryptoml.system.stopping import command_pid


@contextmanager
def only_training(
    settings: Settings,
    data: Path,
    model_name: str,
    *,
    wait_s: float,
    on_event: events.OnEvent,
) -> Iterator[None]:
    """Hold the lock of this output. Raise UnavailableError if another training holds it for longer than `wait_s`."""
    if not data.is_file():
        # Reading the data reports the error; no lock file is created in a folder that is not a project.
        yield
        return
    path = _lock_path(settings, data, model_name)
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)

    def fact() -> str:
        return f"{data}: another training of this data is running: {_holder(path)}"

    def busy() -> UnavailableError:
        hint = "wait with --wait SECONDS, stop the other training, or set another MLFLOW_EXPERIMENT_NAME"
        return UnavailableError(f"{fact()}.", hint=hint)

    def on_wait() -> None:
        on_event(events.Info(f"{fact()}. Waiting up to {wait_s:g} s."))

    with locked(path, timeout_s=wait_s, on_wait=on_wait, busy=busy):
        try:
            with translate_os_errors(path):
                write_atomically(_holder_file(path), json.dumps(_this_holder()) + "\n")
            yield
        finally:
            with suppress(OSError):
                _holder_file(path).unlink(missing_ok=True)


def _lock_path(settings: Settings, data: Path, model_name: str) -> Path:
    output = (settings.mlflow_uri(), settings.experiment_name, model_name, str(data.resolve()))
    key = hashlib.sha256("\n".join(output).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return settings.project_dir / ".cryptoml" / "locks" / f"train-{key}.lock"


def _holder_file(path: Path) -> Path:
    return path.with_suffix(".json")


def _this_holder() -> dict[str, object]:
    return {"pid": command_pid(), "host": platform.node(), "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}


def _holder(path: Path) -> str:
    try:
        found = json.loads(_holder_file(path).read_text(encoding="utf-8"))
        return f"pid {found['pid']} on {found['host']}, since {found['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown process"
