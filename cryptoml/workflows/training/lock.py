"""One training at a time for one output, so that a scheduler's second start does not race the first.

The same output: the same store, experiment and registered model, and the same data file, in one project folder.
Trainings of different data, as a fan-out over symbols starts them, do not meet. The models and parameters do not
count: they compete for the same version.

The lock is the operating system's and vanishes with its process, so none is ever stale. On a file system that
cannot lock files, filelock keeps a marker file instead and looks whether the process it names is alive.
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
    """Be the only training of this output, waiting up to `wait_s` for another; raises UnavailableError after that."""
    if not data.is_file():
        # Reading it says what is wrong; a folder that is no project yet stays untouched.
        yield
        return
    path = _lock_path(settings, data, model_name)
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)

    def fact() -> str:
        return f"{data}: another training of this data is running: {_holder(path)}"

    def busy() -> UnavailableError:
        hint = "wait for it with --wait SECONDS, end it, or name another MLFLOW_EXPERIMENT_NAME"
        return UnavailableError(f"{fact()}.", hint=hint)

    def on_wait() -> None:
        on_event(events.Info(f"{fact()}. Waiting up to {wait_s:g} s."))

    with locked(path, timeout_s=wait_s, on_wait=on_wait, busy=busy):
        try:
            with translate_os_errors(path):
                write_atomically(_about(path), json.dumps(_this_holder()) + "\n")
            yield
        finally:
            with suppress(OSError):
                _about(path).unlink(missing_ok=True)


def _lock_path(settings: Settings, data: Path, model_name: str) -> Path:
    output = (settings.mlflow_uri(), settings.experiment_name, model_name, str(data.resolve()))
    key = hashlib.sha256("\n".join(output).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return settings.project_dir / ".cryptoml" / "locks" / f"train-{key}.lock"


def _about(path: Path) -> Path:
    return path.with_suffix(".json")


def _this_holder() -> dict[str, object]:
    return {"pid": command_pid(), "host": platform.node(), "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}


def _holder(path: Path) -> str:
    try:
        found = json.loads(_about(path).read_text(encoding="utf-8"))
        return f"pid {found['pid']} on {found['host']}, since {found['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not said which"
