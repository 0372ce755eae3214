"""The process of the profile report: started once, low priority, killed by cancel; and one real report."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from cryptoml.reports.profile import MAX_ROWS, ProfileJob, start_profile

STAND_IN = """
import os, pathlib, subprocess, sys, time
class ProfileReport:
    def __init__(self, frame, *, title, **options):
        self.text = f"{title}|{len(frame)}|{list(frame.columns)}|{os.nice(0)}|{os.getsid(0) == os.getpid()}"
    def to_file(self, path, silent):
        path.write_text(self.text[:5])
        if "slow" in self.text:
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            pathlib.Path(path.parent / "grandchild").write_text(str(child.pid))
            time.sleep(60)
        if "broken" in self.text:
            raise ValueError("a fault of the library")
        path.write_text(self.text)
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the library with a fast one in the child process."""
    package = tmp_path / "stand_in" / "data_profiling"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))


def candles(path: Path, rows: int = 50) -> Path:
    index = pd.date_range("2020-01-01", periods=rows, freq="1h", tz="UTC", name="timestamp")
    frame = pd.DataFrame({"close": range(rows), "volume": 1.0}, index=index)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path)
    return path


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz"])
def test_a_report_is_created_and_no_other_file_remains(tmp_path: Path, name: str) -> None:
    source = candles(tmp_path / name)
    output = tmp_path / "reports" / "v1" / "profile.html"
    job = start_profile(source, output, title="BTC")
    assert job.finish(30) == output
    title, rows, columns, niceness, own_session = output.read_text().split("|")
    assert (title, rows, columns) == ("BTC", "50", "['timestamp', 'close', 'volume']")
    assert int(niceness) > 0
    assert own_session == "True"
    assert list(output.parent.iterdir()) == [output]
    assert source.exists()


@pytest.mark.usefixtures("library")
def test_large_data_is_sampled_and_the_title_says_so(tmp_path: Path) -> None:
    output = tmp_path / "profile.html"
    start_profile(candles(tmp_path / "a.parquet", 2 * MAX_ROWS + 1), output, title="BTC").finish(30)
    title, rows, *_ = output.read_text().split("|")
    assert title == "BTC (1 in 3 of 40,001 candles)"
    assert int(rows) == 13_334


@pytest.mark.usefixtures("library")
def test_the_source_is_removed_on_request(tmp_path: Path) -> None:
    source = candles(tmp_path / "a.parquet")
    output = tmp_path / "profile.html"
    assert start_profile(source, output, title="BTC", remove_source=True).finish(30) == output
    assert not source.exists()


def test_an_existing_report_is_not_created_again(tmp_path: Path) -> None:
    output = tmp_path / "profile.html"
    output.write_text("the report")
    source = candles(tmp_path / "a.parquet")
    job = start_profile(source, output, title="BTC", remove_source=True)
    assert job.process is None
    assert job.finish() == output
    assert output.read_text() == "the report"
    assert not source.exists()


@pytest.mark.usefixtures("library")
def test_finish_returns_after_the_timeout_and_the_process_continues(tmp_path: Path) -> None:
    job = start_profile(candles(tmp_path / "a.parquet"), tmp_path / "profile.html", title="slow")
    began = time.monotonic()
    assert job.finish(0.2) is None
    assert job.finish() is None
    assert time.monotonic() - began < 1.5
    assert job.process is not None
    assert job.process.poll() is None
    job.cancel()


@pytest.mark.usefixtures("library")
def test_cancel_kills_the_process_group_and_deletes_files(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    source = candles(tmp_path / "a.parquet")
    job = start_profile(source, folder / "profile.html", title="slow", remove_source=True)
    note = folder / "grandchild"
    _until(lambda: note.exists() and note.read_text())
    grandchild = int(note.read_text())
    job.cancel()
    job.cancel()
    _until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)
    assert list(folder.iterdir()) == [note]
    assert not source.exists()
    assert job.finish(1) is None


@pytest.mark.usefixtures("library")
def test_a_failure_creates_no_report_and_keeps_the_log(tmp_path: Path) -> None:
    source = candles(tmp_path / "a.parquet")
    job = start_profile(source, tmp_path / "reports" / "profile.html", title="broken", remove_source=True)
    assert job.finish(30) is None
    assert list(job.output.parent.iterdir()) == [job.log]
    assert "a fault of the library" in job.log.read_text()
    assert not source.exists()


def test_a_folder_that_cannot_be_created_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    job = start_profile(candles(tmp_path / "a.parquet"), tmp_path / "file" / "profile.html", title="BTC")
    assert job == ProfileJob(tmp_path / "file" / "profile.html", None)
    assert job.finish() is None
    job.cancel()


@pytest.mark.slow
def test_the_real_report_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        calls: list[object] = []
        threading.Thread(target=_collect, args=(listener, calls), daemon=True).start()
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{listener.getsockname()[1]}")
        output = tmp_path / "profile.html"
        job = start_profile(candles(tmp_path / "a.parquet", 500), output, title="BTCUSDT <1h>")
        assert job.finish(120) == output, job.log.read_text()
    assert calls == []
    page = output.read_text(encoding="utf-8")
    assert "BTCUSDT" in page
    assert "close" in page
    # Links that a reader may follow are fine; what a browser fetches by itself is not.
    fetched = re.findall(r"""<(?:script|link|img|iframe)[^>]*?(?:src|href)=["']?(https?:[^"'\s>]+)""", page)
    fetched += re.findall(r"""(?:url\(["']?|@import\s*["']?)(https?:[^"')]+)""", page)
    assert fetched == []
    assert output.stat().st_size < 5_000_000


def _collect(listener: socket.socket, calls: list[object]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        calls.append(connection.recv(100))
        connection.close()


def _until(true: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_niceness_of_the_parent_does_not_change() -> None:
    assert os.nice(0) < 19
