"""A signal ends the command even if it arrives where Python suppresses exceptions."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import gc, os, signal, time, weakref
from cryptoml.system import stopping
from cryptoml.errors import StoppedError

stopping._install_handlers()

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)

class Referred:
    pass

def callback(reference):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)

try:
    if {weak}:
        one = Referred()
        kept = weakref.ref(one, callback)
        del one
    else:
        Finalized()
    time.sleep(20)
except StoppedError as stopped:
    os._exit(stopped.exit_code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("weak", [False, True], ids=["finalizer", "weak reference"])
def test_a_signal_inside_a_finalizer_ends_the_process(weak: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(weak=weak)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 143, done.stderr
    assert done.stderr == ""


REPLACED = """
import os, signal, sys, types
import typer.main
from cryptoml.cli import app

def main(**options):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 5)
    except BaseException:
        raise ImportError("initialization failed") from None

typer.main.get_command = lambda _: types.SimpleNamespace(main=main)
sys.argv = ["cryptoml", "train"]
app.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_that_an_extension_module_turns_into_an_import_error_still_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", REPLACED], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 143, done.stderr
    assert done.stderr == "cryptoml: stopped by a signal.\n"
