"""Stops a command within seconds of SIGTERM, SIGINT, SIGHUP and similar signals, with exit code 128 + signal number.

The command runs in a child process. The parent only forwards signals and enforces the time limit. In the child, the
signal raises StoppedError, and the command cleans up. If native code holds the GIL, for example during a fit, no
handler can run in the child; the parent then kills it.
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
# Sent by Ctrl-C, `kill`, a closed terminal, Ctrl-\, and by cluster schedulers before a time limit.
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
)
_PR_SET_PDEATHSIG = 1

_command_pid: int | None = None
_received: int | None = None


def command_pid() -> int:
    """Return the process to signal to stop this command: the parent, if there is one."""
    return _command_pid or os.getpid()


def is_stopped() -> bool:
    """Return whether this process has received a signal to stop."""
    return _received is not None


def raise_if_stopped() -> None:
    """Raise StoppedError again after a signal: native code may have replaced it, for example with an ImportError."""
    if _received is not None:
        raise StoppedError(_received)


def hold_signals() -> None:
    """Hold signals back until `run_stoppable` can handle them; call it before slow imports."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def accept_signals() -> None:
    """Let signals raise StoppedError from now on, also those that were held back."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def run_stoppable(
    work: Callable[[], NoReturn],
    *,
    on_signal: Callable[[int, int], None],
    on_killed: Callable[[int, str], str],
) -> NoReturn:
    """Run `work` in a child process and exit with its exit code; call it before any thread is started.

    work: exits the process itself; calls `accept_signals` where it handles StoppedError. on_signal(child's pid, signal
    number): called in the parent while the child cleans up, in case it is killed before it has finished.
    on_killed(exit code, message): returns what the parent writes to standard output for a child that was killed.
    """
    if not hasattr(os, "fork"):
        _install_handlers()
        work()
    global _command_pid
    _command_pid = os.getpid()
    hold_signals()
    worker = os.fork()
    if worker == 0:
        _exit_with_parent(_command_pid)
        _install_handlers()
        work()
    _supervise(worker, on_signal, on_killed)


def _install_handlers() -> None:
    for number in _handled_signals():
        signal.signal(number, _raise)
    sys.unraisablehook = _raise_later


def _handled_signals() -> list[signal.Signals]:
    # Ignored signals stay ignored: shells ignore SIGINT for background jobs, and nohup ignores SIGHUP.
    return [number for number in SIGNALS if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN]


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    global _received
    _received = number
    # A second signal must not interrupt the cleanup.
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise StoppedError(number)


def _raise_later(unraisable: sys.UnraisableHookArgs) -> None:
    """Raise StoppedError again if Python suppressed it in a finalizer or in the callback of a weak reference."""
    error = unraisable.exc_value
    if not isinstance(error, StoppedError):
        sys.__unraisablehook__(unraisable)
        return

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise StoppedError(error.exit_code - 128)

    # Raise it from a timer, because exceptions in this hook are suppressed, too.
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, RAISE_AGAIN_S)


def _exit_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent exits, so that `kill -9` of a command ends both processes."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def _supervise(worker: int, on_signal: Callable[[int, int], None], on_killed: Callable[[int, str], str]) -> NoReturn:
    received = 0
    # Threads from before the fork, such as those of a monitoring agent, keep running here; silence their output.
    stdout, stderr = os.dup(1), os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(devnull, number)

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal received
        if not received:
            received = number
            signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
            os.kill(worker, number)
            with suppress(Exception):
                on_signal(worker, number)

    def kill(number: int, frame: FrameType | None) -> None:
        os.kill(worker, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    for number in _handled_signals():
        signal.signal(number, forward)
    accept_signals()
    # Reap the child only after the handlers are removed: they might signal a new process with the same id.
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in _handled_signals():
        signal.signal(number, signal.SIG_IGN)
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    if code < 0:
        cause = ". The memory may have run out." if code == -signal.SIGKILL else "."
        message = STOPPED if received else f"ended by signal {-code}{cause}"
        code = 128 + (received or -code)
        for descriptor, text in ((stderr, f"cryptoml: {message}\n"), (stdout, on_killed(code, message))):
            with suppress(OSError):
                os.write(descriptor, text.encode())
    os._exit(code)
