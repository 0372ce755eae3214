"""Which process wrote a journal, and whether it is still there. A process of another host is never judged."""

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
    """What tells one process from every other: `started` tells a reused pid, `space` a container's own pids."""

    host: str
    boot: str
    space: str
    pid: int
    started: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def read_identity(document: dict[str, Any]) -> ProcessIdentity:
    """The mark that `to_dict` wrote; what is missing reads as unknown."""
    return ProcessIdentity(
        host=str(document.get("host", "")),
        boot=str(document.get("boot", "")),
        space=str(document.get("space", "")),
        pid=int(document.get("pid", 0)),
        started=str(document.get("started", "")),
    )


def current_process() -> ProcessIdentity:
    """The mark of the process that asks."""
    host, boot, space = _machine()
    return ProcessIdentity(host, boot, space, os.getpid(), _started(os.getpid()) or "")


def has_exited(mark: ProcessIdentity, *, idle_s: float) -> bool:
    """Whether the process is certainly over; `idle_s` is how long its journal has not grown.

    Same host, same boot, same pid numbering: the process table answers. Same machine after a reboot: gone.
    Same host name in another container, whose pids cannot be seen: gone after a day of silence.
    """
    host, boot, space = _machine()
    if mark.host != host:
        return False
    if mark.boot == boot and mark.space == space:
        return not _is_running(mark.pid, mark.started)
    machine_is_known = not host.endswith("/")
    if mark.boot != boot and machine_is_known:
        return True
    return idle_s > IDLE_LIMIT_S


@lru_cache(maxsize=1)
def _machine() -> tuple[str, str, str]:
    machine_id = _read(Path("/etc/machine-id"))[:12]
    boot = _read(Path("/proc/sys/kernel/random/boot_id"))
    if not boot:
        import psutil

        # Off Linux the boot time is computed from the clock; ten seconds absorb its corrections.
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
        return _answers(pid)
    return now != "" and (not started or now == started)


def _answers(pid: int) -> bool:
    """Whether a pid that cannot be looked at is nevertheless taken (a process table may be hidden)."""
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
    """When `pid` was started, as text to compare; "" for a dead one not yet collected, None when unknown."""
    if Path("/proc/self/stat").exists():
        stat = _read(Path(f"/proc/{pid}/stat"))
        if not stat:
            return None
        # The name in parentheses may hold blanks and parentheses itself.
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
