"""Worker processes: each is driven by one thread, so that a killed worker fails only the call that it was running."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cryptoml.errors import UnavailableError
from cryptoml.system.stopping import SIGNALS

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# The fork server imports modules once, for all workers; on Windows each worker imports them when it needs them.
_CONTEXT = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")


def start_import(modules: Sequence[str]) -> None:
    """Start the process that workers are forked from and let it import these modules in the background."""
    if sys.platform == "win32":
        return
    from multiprocessing import forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    with _without_main_module():
        forkserver.ensure_running()


class Worker:
    """A process that runs one call at a time; it starts with the first call, and again after it was killed."""

    def __init__(self) -> None:
        self._is_closed = False
        self._process: Any = None
        self._connection: Connection | None = None

    def call(self, function: Callable[..., object], *arguments: object) -> bytes:
        """Run a function in the process and return its pickled result, for `pickle.loads` in the calling thread.

        Raises the function's exception, or UnavailableError if the process was killed.
        """
        if self._is_closed:
            raise UnavailableError("the worker process was closed.")
        if self._connection is None:
            self._start()
        assert self._connection is not None
        try:
            self._connection.send((function, arguments))
            succeeded, result = self._connection.recv()
        except (EOFError, ConnectionError):
            raise self._killed() from None
        if succeeded:
            return bytes(result)
        raise pickle.loads(result)  # noqa: S301

    def close(self) -> None:
        """End the process at once, and with it the call that it is running."""
        self._is_closed = True
        if self._process is not None:
            self._process.kill()

    def _start(self) -> None:
        self._connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)  # type: ignore[attr-defined]
        with _without_main_module():
            self._process.start()
        theirs.close()

    def _killed(self) -> UnavailableError:
        self._process.join()
        code = self._process.exitcode
        assert self._connection is not None
        self._connection.close()
        self._process, self._connection = None, None
        cause = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        memory = " The memory may have run out." if code == -signal.SIGKILL else ""
        fact = f"a worker process ended with {cause}.{memory}"
        return UnavailableError(fact, hint="use fewer workers: CRYPTOML_WORKERS=1")


def _serve(connection: Connection) -> None:
    """Run calls until the connection is closed; the process that started the worker handles signals."""
    _end_with_parent()
    for number in SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    # Standard output belongs to the command's result.
    os.dup2(2, 1)
    with suppress(EOFError, ConnectionError):
        while True:
            function, arguments = connection.recv()
            connection.send(_outcome(function, arguments))


def _end_with_parent() -> None:
    """Let the kernel end this process with the one that started it, even if native code holds the GIL.

    The kernel sends SIGIO, whose default action ends the process, when the pipe to the other process closes.
    """
    if sys.platform == "win32":
        return
    import fcntl

    parent = multiprocessing.parent_process()
    assert parent is not None
    pipe = int(parent.sentinel)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if not parent.is_alive():
        os._exit(1)


def _outcome(function: Callable[..., object], arguments: Sequence[object]) -> tuple[bool, bytes]:
    try:
        return True, pickle.dumps(function(*arguments), protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - it is raised in the calling process
        return False, _pickled_error(error)


def _pickled_error(error: Exception) -> bytes:
    try:
        data = pickle.dumps(error)
        pickle.loads(data)  # noqa: S301
    except (TypeError, AttributeError, pickle.PicklingError):
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return data


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Hide the main module: multiprocessing would import it in each worker, and run a script without a guard again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
