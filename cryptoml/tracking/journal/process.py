"""Identify the process that wrote a journal and check whether it has exited; other hosts are not checked."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

IDLE_LIMIT_S = 24 * 3600.0


@dataclass(frozen=True)
class ProcessIdentity:
    """Identifies a process. `started` detects a reused pid; `space` is the pid namespace, as of a container."""

    host: str
    boot: str
    space: str
    pid: int
    started: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self)


def read_identity(document: dict[str, Any]) -> ProcessIdentity:
    """Return the identity that `to_dict` wrote; missing fields are empty or 0."""
    return ProcessIdentity(
        host=str(document.get("host", "")),
        boot=str(document.get("boot", "")),
        space=str(document.get("space", "")),
        pid=int(document.get("pid", 0)),
        started=str(document.get("started", "")),
    )


def current_process() -> ProcessIdentity:
    """Return the identity of the current process."""
    host, boot, space = _machine()
    return ProcessIdentity(host, boot, space, os.getpid(), _started(os.getpid()) or "")


def has_exited(process: ProcessIdentity, *, idle_s: float) -> bool:
    """Return whether the process has certainly exited; `idle_s`: seconds since the last write to its journal.

    Same host, boot and pid namespace: checked in the process table. Same machine after a reboot: exited. Same host
    name in another container, whose pids are not visible: exited after IDLE_LIMIT_S without a write.
    """
    host, boot, space = _machine()
    if process.host != host:
        return False
    if process.boot == boot and process.space == space:
        return not _is_running(process.pid, process.started)
    machine_is_known = not host.endswith("/")
    if process.boot != boot and machine_is_known:
        return True
    return idle_s > IDLE_LIMIT_S


@lru_cache(maxsize=1)
def _machine() -> tuple[str, str, str]:
    machine_id = _read(Path("/etc/machine-id"))[:12]
    boot = _read(Path("/proc/sys/kernel/random/boot_id"))
    if not boot:
        import psutil

        # Without /proc, the boot time is computed from the clock: round it to 10 s to absorb clock corrections.
        boot = f"time-{round(psutil.boot_time() / 10)}"
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{platform.node()}/{machine_id}", boot, space


def _is_running(pid: int, started: str) -> bool:
    if pid <= 0:
        return False
    now = _started(pid)
    if now is None:
        return _pid_exists(pid)
    return now != "" and (not started or now == started)


def _pid_exists(pid: int) -> bool:
    """Return whether the pid is in use; for process tables that hide other users' processes."""
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str | None:
    """Return the start time of `pid` as a comparable string; "" for a zombie, None if unknown."""
    if Path("/proc/self/stat").exists():
        stat = _read(Path(f"/proc/{pid}/stat"))
        if not stat:
            return None
        # The process name in parentheses may contain spaces and parentheses.
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] in ("Z", "X") else fields[19]
    import psutil

    try:
        return str(round(psutil.Process(pid).create_time()))
    except psutil.Error:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
