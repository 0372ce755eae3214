"""Ending on SIGTERM or SIGINT: within seconds, whatever the process is doing, with 128 + the signal's number.

The main thread gets StoppedError and cleans up on its way out. A library may swallow that and native code may not
let it in, so a second thread hears the signal as well: it does what `when_stopped` was given, and ends the process
when the main thread has not done so in time.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from cryptoml.errors import StoppedError

LIMIT_S = 4.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)

_actions: list[Callable[[int], None]] = []


def listen() -> None:
    """Turn the signals into StoppedError from here on; for the main thread of a command, once."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # Written by the C handler, so the watcher hears a signal while the main thread is in native code.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), name="signals", daemon=True).start()
    for number in SIGNALS:
        # A shell starts background jobs with SIGINT ignored; that is a wish to be left alone.
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


@contextmanager
def when_stopped(action: Callable[[int], None]) -> Iterator[None]:
    """Have `action(signal number)` called when a signal comes in this block, in another thread; it takes no locks."""
    _actions.append(action)
    try:
        yield
    finally:
        _actions.remove(action)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    # A second signal must not interrupt the cleaning that the first one began.
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise StoppedError(number)


def _watch(reader: int) -> None:
    number = 0
    while number not in SIGNALS:
        number = os.read(reader, 1)[0]
    for action in tuple(_actions):
        with suppress(Exception):
            action(number)
    time.sleep(LIMIT_S)
    os._exit(128 + number)
