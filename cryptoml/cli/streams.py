"""The process's streams: usable from the first moment, whatever they are, and the result last on them."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn

READER_GONE = 141

_last_words: list[str] = []


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


def say_last(text: str) -> None:
    """Keep `text` for standard output until the process leaves."""
    _last_words.append(text)


def leave(code: int) -> NoReturn:
    """Write the last words and end the process at once.

    Exit handlers of libraries are left out on purpose: they could write after the result, hang or crash, and fits
    in other threads would be waited for.
    """
    talk = os.dup(2)
    try:
        logging.shutdown()
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        sys.stdout.flush()
        if _last_words:
            # From here on no other thread, native ones included, gets a word in on standard error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.set_blocking(1, True)
            _write(1, "".join(_last_words).encode("utf-8", "surrogateescape"))
    except BrokenPipeError:
        code = code or READER_GONE
    except (OSError, ValueError) as error:
        code = code or 1
        with suppress(OSError):
            _write(talk, f"cryptoml: the result cannot be written: {error}\n".encode())
    os._exit(code)


def _write(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]
