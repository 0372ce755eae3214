"""Ending on SIGTERM, SIGINT, SIGHUP and the like: within seconds, whatever is going on, with 128 + the signal's number.

A command runs in a child process; its parent does nothing but pass signals on and count the seconds. The child gets
StoppedError and cleans up on its way out. Where it cannot (native code may hold Python's lock for a whole fit, and
no handler or thread of its own runs then), the parent ends it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from cryptoml.errors import StoppedError

LIMIT_S = 3.5
RAISE_AGAIN_S = 0.02
STOPPED = "stopped by a signal."
# Ctrl-C, `kill`, a closed terminal, Ctrl-\, and what cluster schedulers send before a time limit.
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
)
_PR_SET_PDEATHSIG = 1

_command_pid: int | None = None
_received: int | None = None


def command_pid() -> int:
    """The process to signal when this command is to end: the parent where there is one."""
    return _command_pid or os.getpid()


def is_stopped() -> bool:
    """Return whether a signal has asked this process to end."""
    return _received is not None


def raise_if_stopped() -> None:
    """Raise StoppedError after a signal. Native code may have replaced the first one, by an ImportError for example."""
    if _received is not None:
        raise StoppedError(_received)


def run_stoppable(
    work: Callable[[], NoReturn],
    *,
    on_signal: Callable[[int, int], None],
    on_killed: Callable[[int, str], str],
) -> NoReturn:
    """Run `work`, which ends the process itself, and end with its exit code; before any thread is started.

    `on_signal(child's pid, signal number)` is called in the parent while the child cleans up, for what must be
    done should it not come to that. `on_killed(exit code, message)` returns what the parent writes to standard output
    for a child that was killed before it could write anything itself.
    """
    if not hasattr(os, "fork"):
        _listen()
        work()
    global _command_pid
    _command_pid = os.getpid()
    # A signal between the fork and the handlers must wait for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    worker = os.fork()
    if worker == 0:
        _end_with(_command_pid)
        _listen()
        work()
    _supervise(worker, on_signal, on_killed)


def _listen() -> None:
    for number in _wanted():
        signal.signal(number, _raise)
    sys.unraisablehook = _raise_again
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _wanted() -> list[signal.Signals]:
    # A shell starts background jobs with SIGINT ignored, nohup ignores SIGHUP; both mean: leave this process alone.
    return [one for one in SIGNALS if one == signal.SIGTERM or signal.getsignal(one) is not signal.SIG_IGN]


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    global _received
    _received = number
    # A second signal must not interrupt the cleaning that the first one began.
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise StoppedError(number)


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Python swallows what is raised inside a finalizer or a weak reference's callback: raise it once more, later."""
    error = unraisable.exc_value
    if not isinstance(error, StoppedError):
        sys.__unraisablehook__(unraisable)
        return

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise StoppedError(error.exit_code - 128)

    # Not at once: this hook swallows exceptions, too.
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, RAISE_AGAIN_S)


def _end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, so that `kill -9` of a command leaves nothing behind."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def _supervise(worker: int, on_signal: Callable[[int, int], None], on_killed: Callable[[int, str], str]) -> NoReturn:
    asked = 0
    # Threads that were there before the fork (an agent's, say) live on in this process; they get no word in.
    out, talk = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = number
            signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
            os.kill(worker, number)
            with suppress(Exception):
                on_signal(worker, number)

    def kill(number: int, frame: FrameType | None) -> None:
        os.kill(worker, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    for one in _wanted():
        signal.signal(one, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # Collected only when no handler can run any more, or one could signal another process of the same number.
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for one in _wanted():
        signal.signal(one, signal.SIG_IGN)
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    if code < 0:
        hint = ". The memory may have run out." if code == -signal.SIGKILL else "."
        message = STOPPED if asked else f"ended by signal {-code}{hint}"
        code = 128 + (asked or -code)
        for descriptor, text in ((talk, f"cryptoml: {message}\n"), (out, on_killed(code, message))):
            with suppress(OSError):
                os.write(descriptor, text.encode())
    os._exit(code)
