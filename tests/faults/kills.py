"""Kills a command at a chosen moment: by the clock, or when its nth request arrives or was carried out."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from tests.conftest import Done
from tests.faults.case import DOCUMENTED, HUNG_S, Bench, Result
from tests.faults.proxy import Trigger
from tests.faults.scenarios import SCENARIOS, Case

KILLED = ("train-sqlite", "train-first", "train", "sync", "register", "promote", "push-data")
SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM}


@dataclass(frozen=True)
class Shot:
    """Which signal, and when: `at` is a number of seconds for "time", else the number of a request."""

    signal: Literal["KILL", "TERM"]
    when: Literal["time", "before", "after"]
    at: float

    def __str__(self) -> str:
        return f"{self.signal}:{self.when}:{self.at:g}"


class _Victim:
    """The command, whose streams go to files: what outlives it cannot keep a pipe open."""

    def __init__(self, case: Case, number: signal.Signals) -> None:
        self.folder = case.project.folder.parent
        self.number = number
        self.was_alive = False
        self._started = threading.Event()
        self._case = case

    def start(self) -> None:
        case = self._case
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                case.project.command(*case.command), cwd=case.project.folder, env=dict(case.project.environ),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip
        self._started.set()

    def shoot(self) -> None:
        self._started.wait()
        if self.process.poll() is None:
            self.was_alive = True
            self.process.send_signal(self.number)

    def ended(self) -> Done:
        try:
            code = self.process.wait(HUNG_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._await_group()
        return Done(code, _text(self.folder / "out"), _text(self.folder / "err"))

    def _await_group(self) -> None:
        """The kernel ends what the command started, a moment later."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(_in_session(one, self.process.pid) for one in psutil.pids()):
            time.sleep(0.05)


def kill(bench: Bench, scenario: str, shot: Shot, name: str) -> Result:
    """Run a case and kill its command; what follows is the same as after a fault."""
    case = SCENARIOS[scenario](bench.world, bench.proxy.url, name)
    victim = _Victim(case, SIGNALS[shot.signal])
    began = time.monotonic()
    trigger = None if shot.when == "time" else Trigger(int(shot.at), shot.when == "after", victim.shoot)
    bench.proxy.arm(trigger=trigger)
    victim.start()
    if shot.when == "time":
        with suppress(subprocess.TimeoutExpired):
            victim.process.wait(shot.at)
        victim.shoot()
    done = victim.ended()
    bench.proxy.disarm()
    # In its first moments a process has no handlers yet and dies of the signal itself, 128 + N in a shell.
    allowed = (*DOCUMENTED, -SIGNALS[shot.signal])
    what, kind = shot.signal, shot.when
    return bench.judge(name, scenario, what, kind, victim.was_alive, case, done, began, allowed)


def _text(path: Path) -> str:
    return path.read_text(errors="replace")


def _in_session(pid: int, leader: int) -> bool:
    try:
        return os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False
