"""Standard input, output and error: safe to use in any state, with the result as the last output."""

from __future__ import annotations

import errno
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

BROKEN_PIPE_EXIT_CODE = 141
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class _Output:
    """The file descriptor for the result and the text to write; opened: whether `open_streams` was called."""

    descriptor: int = 1
    pending: list[str] = field(default_factory=list)
    opened: bool = False
    is_written: bool = False


_output = _Output()


def open_streams() -> None:
    """Open closed streams on the null device, and replace characters that a stream cannot encode with `?`."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # Otherwise the next opened file would get this descriptor, and prints would be written to it.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        # In the C locale, the error handler is surrogateescape, which cannot encode other characters.
        if hasattr(stream, "reconfigure") and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")
    _output.opened = True


def reserve_stdout() -> None:
    """Reserve standard output for `queue_result`: redirect everything else, such as prints of libraries, to stderr."""
    if _output.opened and _output.descriptor == 1:
        sys.stdout.flush()
        _output.descriptor = os.dup(1)
        os.dup2(2, 1)


def queue_result(text: str) -> None:
    """Add `text` to what is written to standard output at exit."""
    _output.pending.append(text)


def exit_with(code: int) -> NoReturn:
    """Write the queued results and end the process immediately.

    Exit handlers are not run: they could write after the result, hang, crash, or wait for fits in other threads.
    """
    stderr_copy = os.dup(2)
    try:
        logging.shutdown()
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        if _output.descriptor == 1:
            sys.stdout.flush()
        else:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
        if _output.pending:
            # No other thread, including native ones, may write to standard error after the result.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            _write_pending()
    except BrokenPipeError:
        code = code or BROKEN_PIPE_EXIT_CODE
    except (OSError, ValueError) as error:
        code = code or (5 if getattr(error, "errno", None) in DISK_FULL else 1)
        with suppress(OSError):
            _write(stderr_copy, f"cryptoml: the result cannot be written: {error}\n".encode())
    os._exit(code)


def exit_after_signal(code: int, text: str) -> NoReturn:
    """End the process after a signal; write `text` to standard output unless a result was already written."""
    if text and not _output.is_written:
        _output.pending[:] = [text]
        with suppress(OSError, ValueError):
            _write_pending()
    os._exit(code)


def _write_pending() -> None:
    _output.is_written = True
    os.set_blocking(_output.descriptor, True)
    _write(_output.descriptor, "".join(_output.pending).encode("utf-8", "surrogateescape"))


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
