"""The process's streams: usable from the first moment, whatever they are, and the result last on them."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

READER_GONE = 141


@dataclass
class _Output:
    """Where the result goes, and what of it is still to be written. opened: the streams are this process's own."""

    descriptor: int = 1
    pending: list[str] = field(default_factory=list)
    opened: bool = False
    is_written: bool = False


_output = _Output()


def open_streams() -> None:
    """Make the three streams safe to use: a closed one leads nowhere, a character that one cannot show becomes `?`."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # Left free, the number would go to the next file that is opened, and prints would end up in it.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        # In the C locale they let pass what was read undecoded, and nothing else.
        if hasattr(stream, "reconfigure") and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")
    _output.opened = True


def reserve_stdout() -> None:
    """Keep standard output for `say_last` alone: whatever libraries print goes to standard error from now on."""
    if _output.opened and _output.descriptor == 1:
        sys.stdout.flush()
        _output.descriptor = os.dup(1)
        os.dup2(2, 1)


def say_last(text: str) -> None:
    """Keep `text` for standard output until the process leaves."""
    _output.pending.append(text)


def leave(code: int) -> NoReturn:
    """Write what `say_last` kept and end the process at once.

    Exit handlers of libraries are left out on purpose: they could write after the result, hang or crash, and fits
    in other threads would be waited for.
    """
    talk = os.dup(2)
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
            # From here on no other thread, native ones included, gets a word in on standard error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            _write_pending()
    except BrokenPipeError:
        code = code or READER_GONE
    except (OSError, ValueError) as error:
        code = code or 1
        with suppress(OSError):
            _write(talk, f"cryptoml: the result cannot be written: {error}\n".encode())
    os._exit(code)


def leave_stopped(code: int, text: str) -> NoReturn:
    """End the process at once after a signal, with `text` on standard output unless a result is there already."""
    if text and not _output.is_written:
        _output.pending[:] = [text]
        with suppress(OSError, ValueError):
            _write_pending()
    os._exit(code)


def _write_pending() -> None:
    _output.is_written = True
    os.set_blocking(_output.descriptor, True)
    _write(_output.descriptor, "".join(_output.pending).encode("utf-8", "surrogateescape"))


def _write(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]
