"""Worker processes: results, errors, kills and stops, with real processes."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptoml.errors import DataError, UnavailableError
from cryptoml.system.workers import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def product(left: int, right: int) -> int:
    return left * right


def refuse(fact: str) -> None:
    raise DataError(fact, hint="use another file")


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("a lock")
        self.lock = threading.Lock()


def raise_unpicklable() -> None:
    raise Unpicklable


def kill_self(number: int) -> None:
    os.kill(os.getpid(), number)


def sleep_and_write(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(60)


def test_a_call_returns_its_pickled_result_and_the_process_is_reused(worker):
    assert pickle.loads(worker.call(product, 6, 7)) == 42
    first = pickle.loads(worker.call(os.getpid))
    assert first == pickle.loads(worker.call(os.getpid))
    assert first != os.getpid()


def test_an_error_keeps_its_class_its_fact_and_its_hint(worker):
    with pytest.raises(DataError) as caught:
        worker.call(refuse, "too short.")
    assert (caught.value.fact, caught.value.hint) == ("too short.", "use another file")


def test_an_error_that_cannot_be_pickled_keeps_its_text(worker):
    with pytest.raises(RuntimeError, match="Unpicklable: a lock"):
        worker.call(raise_unpicklable)


def test_a_killed_process_fails_its_call_and_the_next_call_gets_a_new_process(worker):
    with pytest.raises(UnavailableError, match=r"signal 9\. The memory may have run out"):
        worker.call(kill_self, signal.SIGKILL)
    assert pickle.loads(worker.call(product, 2, 3)) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["INT", "HUP"])
def test_signals_to_the_terminal_are_left_to_the_command(worker, number):
    assert pickle.loads(worker.call(kill_self, number)) is None


def test_closing_ends_a_running_call_and_refuses_further_ones(worker, tmp_path):
    errors = []

    def call() -> None:
        try:
            worker.call(sleep_and_write, tmp_path / "pid")
        except UnavailableError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    worker.close()
    thread.join(20)
    assert len(errors) == 1
    with pytest.raises(UnavailableError, match="closed"):
        worker.call(product, 1, 1)


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os\n"
        "from cryptoml.system.workers import Worker\n"
        "print('once', flush=True)\n"
        "worker = Worker()\n"
        "worker.call(os.getpid)\n"
        "worker.close()\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "once\n"), done.stderr


def test_the_processes_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from cryptoml.system.workers import Worker\n"
        "worker = Worker()\n"
        "worker.call(os.getpid)\n"
        "print('started', flush=True)\n"
        "worker.call(time.sleep, 60)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        # The pipe closes when the last process that holds it has ended.
        assert process.stdout.read() == ""
