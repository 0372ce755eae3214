"""A `cryptoml` process that pauses at a chosen function, to receive a signal there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.conftest import Project

PAUSED = "PAUSED"
SITE = f"""
import ctypes, os, time
from importlib.machinery import SourceFileLoader

module_name, _, path = os.environ["PAUSE_AT"].partition(":")
how = os.environ["PAUSE_HOW"]
exec_module = SourceFileLoader.exec_module


def pause():
    os.write(2, b"{PAUSED}\\n")
    deadline = time.monotonic() + 120
    if how == "locked":
        ctypes.PyDLL(None).sleep(60)
    while time.monotonic() < deadline:
        try:
            time.sleep(0.1)
        except Exception:
            pass
        except BaseException:
            if how != "deaf":
                raise


def exec_and_patch(self, module):
    exec_module(self, module)
    if module.__name__ == module_name:
        *owners, name = path.split(".")
        owner = module
        for one in owners:
            owner = getattr(owner, one)
        original = getattr(owner, name)

        def patched(*arguments, **options):
            if how != "after":
                pause()
            result = original(*arguments, **options)
            if how == "after":
                pause()
            return result

        setattr(owner, name, patched)


SourceFileLoader.exec_module = exec_and_patch
"""


class Started:
    """A running command with merged streams, as Airflow reads them."""

    def __init__(self, project: Project, *arguments: object, **environ: str) -> None:
        self.process = subprocess.Popen(
            project.command(*arguments),
            cwd=project.folder,
            env={**project.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell's background job ignores SIGINT, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.seen = ""

    def wait_for(self, text: str) -> None:
        """Read until a line contains `text`."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.seen += line
            if text in line:
                return
        raise AssertionError(f"{text!r} was never said:\n{self.seen}")

    def end(self, number: signal.Signals) -> float:
        """Send the signal, wait for the exit and return the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.ended(began)

    def ended(self, began: float) -> float:
        """Wait for the exit and return the seconds since `began`."""
        assert self.process.stdout
        self.seen += self.process.stdout.read()
        self.process.wait(timeout=60)
        return time.monotonic() - began

    @property
    def code(self) -> int | None:
        """The return code of Popen: negative if a signal ended the process."""
        return self.process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def paused(project: Project, at: str, *arguments: object, how: str = "before", **environ: str) -> Started:
    """Start a command that pauses at `module:function`.

    `before` it, `after` it, before it and `deaf` to every exception, or before it with Python's lock `locked`.
    """
    folder: Path = project.folder.parent / "pause"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITE)
    search = os.pathsep.join((str(folder), *filter(None, [project.environ.get("PYTHONPATH")])))
    return Started(project, *arguments, PYTHONPATH=search, PAUSE_AT=at, PAUSE_HOW=how, **environ)
