"""Writing a run's journal, and finding undelivered runs."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from cryptoml.errors import AccessError, UnavailableError
from cryptoml.tracking.journal.entries import Delivery
from cryptoml.tracking.journal.journal import Journal, JournalRun


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def begin(journal: Journal, name: str = "ridge_2024-11-27_001") -> JournalRun:
    return journal.open_run(training_id="t1", experiment="e", run_name=name, tags={"author": "me"})


def test_a_new_run_is_on_disk_at_once(journal: Journal) -> None:
    run = begin(journal)
    record, size = run.entry.read()
    assert record is not None
    assert (record.run_name, record.experiment, record.run_key) == ("ridge_2024-11-27_001", "e", run.key)
    assert record.process.pid == os.getpid()
    assert size == run.entry.path.stat().st_size


def test_all_records_are_read_back(journal: Journal, tmp_path: Path) -> None:
    file = tmp_path / "plots" / "deep" / "p.png"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"picture")
    run = begin(journal)
    run.log_params({"alpha": 0.5, "lags": [1, 2]})
    run.log_metrics({"rmse": 2}, step=3, timestamp_ms=99)
    run.add_artifact_folder(tmp_path / "plots", "plots")
    run.add_artifact(file)
    run.request_registration("model", tags={"x": 1})
    run.end("FINISHED", end_time_ms=1234)
    record, _ = run.entry.read()
    assert record is not None
    assert dict(record.params) == {"alpha": "0.5", "lags": "[1, 2]"}
    assert [(one.key, one.value, one.step, one.timestamp_ms) for one in record.metrics] == [("rmse", 2.0, 3, 99)]
    assert [one.path for one in record.artifacts] == ["plots/deep/p.png", "p.png"]
    assert record.artifacts[0].sha256 == hashlib.sha256(b"picture").hexdigest()
    assert (run.entry.staging / "plots/deep/p.png").read_bytes() == b"picture"
    assert (record.status, record.end_time_ms) == ("FINISHED", 1234)
    assert dict(record.registrations[0].tags) == {"x": "1"}


def test_a_parameter_cannot_change(journal: Journal) -> None:
    run = begin(journal)
    run.log_params({"alpha": 1})
    run.log_params({"alpha": 1})
    with pytest.raises(ValueError, match="alpha already has the value 1"):
        run.log_params({"alpha": 2})


def test_the_first_end_is_used(journal: Journal) -> None:
    run = begin(journal)
    run.end("FINISHED")
    run.end("KILLED")
    record, _ = run.entry.read()
    assert record is not None
    assert record.status == "FINISHED"


@pytest.mark.parametrize("folder", ["/etc", "../out", "plots/../../out"])
def test_an_artifact_path_cannot_leave_its_run(journal: Journal, tmp_path: Path, folder: str) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(ValueError, match="not a folder inside a run"):
        begin(journal).add_artifact(tmp_path / "x", folder)


def test_a_training_id_cannot_leave_the_journal(journal: Journal) -> None:
    with pytest.raises(ValueError, match="is not a valid folder name"):
        journal.open_run(training_id="../x", experiment="e", run_name="n")


def test_concurrent_writes_keep_lines_complete(journal: Journal) -> None:
    run = begin(journal)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda step: run.log_metrics({"m": step}, step=step), range(200)))
    record, _ = run.entry.read()
    assert record is not None
    assert record.damaged_lines == 0
    assert sorted(one.step for one in record.metrics) == list(range(200))


def test_a_line_after_a_failed_write_is_not_lost(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(journal)
    with run.entry.path.open("ab") as file:
        file.write(b'{"crc":"0000')
    run._torn = True
    run.log_params({"alpha": 1})
    record, _ = run.entry.read()
    assert record is not None
    assert dict(record.params) == {"alpha": "1"}
    assert record.damaged_lines == 1


def test_an_unusable_folder_raises_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(UnavailableError, match="journal"):
        begin(Journal(tmp_path / "journal"))


@pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_journal_without_write_permission_is_an_access_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        parent.chmod(parent.stat().st_mode | 0o111)
    os.seteuid(65534)
    try:
        with pytest.raises(AccessError, match="cannot be written"):
            begin(Journal(tmp_path / "journal"))
    finally:
        os.seteuid(0)


def test_a_run_of_a_running_process_is_pending_only_after_its_end(journal: Journal) -> None:
    run = begin(journal)
    assert journal.pending() == ()
    run.end("FINISHED")
    assert journal.pending() == (run.entry,)


def test_a_delivered_run_is_pending_again_when_its_journal_grows(journal: Journal) -> None:
    run = begin(journal)
    run.end("FINISHED")
    run.entry.mark(Delivery("s", "id", run.entry.path.stat().st_size))
    assert journal.pending() == ()
    run.request_registration("model")
    assert journal.pending() == (run.entry,)


def test_mark_removes_the_temporary_file_of_a_killed_process(journal: Journal) -> None:
    run = begin(journal)
    temporary = run.entry.path.with_name(f".{run.entry.path.stem}.delivered.json.99999.part")
    temporary.write_text("{torn")
    run.entry.mark(Delivery("s", "id"))
    assert not temporary.exists()


def test_an_interrupted_delivery_stays_pending(journal: Journal) -> None:
    run = begin(journal)
    run.end("FINISHED")
    run.entry.mark(Delivery("s", "id"))
    assert journal.pending() == (run.entry,)
    run.entry.path.with_suffix(".delivered.json").write_text("{torn")
    assert journal.pending() == (run.entry,)
    assert run.entry.delivery() == Delivery("")


SCRIPT = """
import os, sys
from pathlib import Path
from cryptoml.tracking.journal.journal import Journal
run = Journal(Path(sys.argv[1])).open_run(training_id="t", experiment="e", run_name="n")
print(run.key, flush=True)
sys.stdin.readline()
"""


def test_the_run_of_a_killed_process_is_pending(journal: Journal) -> None:
    command = [sys.executable, "-c", SCRIPT, str(journal.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        key = child.stdout.readline().strip()
        assert journal.pending() == ()
        child.send_signal(signal.SIGKILL)
        # Not collected yet: a dead process that still has its pid must count as dead.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert [entry.key for entry in journal.pending()] == [key]
    assert [entry.key for entry in journal.pending()] == [key]


def test_a_journal_with_an_incomplete_first_line_is_skipped(journal: Journal) -> None:
    run = begin(journal)
    run.entry.path.write_bytes(run.entry.path.read_bytes()[:40])
    assert journal.pending() == ()


def test_run_numbers_increase_and_continue_after_the_store(journal: Journal) -> None:
    day = date(2024, 11, 27)
    assert journal.reserve_run_name("random_forest", day=day) == "random_forest_2024-11-27_001"
    assert journal.reserve_run_name("random_forest", day=day) == "random_forest_2024-11-27_002"
    assert journal.reserve_run_name("random_forest", day=day, used=41) == "random_forest_2024-11-27_042"
    assert journal.reserve_run_name("random_forest", day=day, used=3) == "random_forest_2024-11-27_043"
    assert journal.reserve_run_name("ridge", day=day) == "ridge_2024-11-27_001"
    assert json.loads((journal.root / "run_numbers.json").read_text())["random_forest_2024-11-27"] == 43
