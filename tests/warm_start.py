"""Runs `cryptoml` in a process forked from one that has imported the libraries: 2 to 4 s of CPU time less a command.

The command has its own working folder, environment, streams and exit code, and starts in `main`, as with
`python -m cryptoml`. `Project.run(..., fresh=True)` starts an interpreter, for tests of what happens before `main`;
with CRYPTOML_FULL=1 every command does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path

_CONTEXT = get_context("forkserver" if sys.platform != "win32" else "spawn")
_CONTEXT.set_forkserver_preload(["tests.warm_imports"])


def run_warm(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str], timeout_s: float
) -> tuple[int, str, str]:
    """Run `cryptoml ARGUMENTS` to its end; its exit code and its two streams.

    Raises subprocess.TimeoutExpired, after killing the command, as subprocess.run does.
    """
    with tempfile.TemporaryDirectory(prefix="streams-") as streams:
        out, err = Path(streams, "out"), Path(streams, "err")
        process = _CONTEXT.Process(target=_be_cryptoml, args=(arguments, str(folder), dict(environ), out, err))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["cryptoml", *arguments], timeout_s)
        code = process.exitcode
        process.close()
        return code, _text(out), _text(err)


def _be_cryptoml(arguments: Sequence[str], folder: str, environ: dict[str, str], out: Path, err: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.argv = ["cryptoml", *arguments]
    sys.path.insert(0, folder)
    tempfile.tempdir = None

    from cryptoml.cli.app import main

    main()


def _text(path: Path) -> str:
    # Killed early, it may not have opened it.
    return path.read_text(encoding="utf-8") if path.exists() else ""
