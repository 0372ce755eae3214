"""The profile report of a data set version: created once, in parallel to a training, and added to one of its runs.

The report neither delays nor fails a training. If it is not finished when the training ends, a background process
waits for it and adds it to the run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.settings import Settings, load_settings

if TYPE_CHECKING:
    from cryptoml.reports.profile import ProfileJob
    from cryptoml.tracking.journal.journal import JournalRun
    from cryptoml.workflows.training.inputs import TrainingData

FILE_NAME = "profile_report.html"
TIMEOUT_S = 900


class ProfileReport:
    """The report of one data set version, made by a process of its own."""

    def __init__(self, settings: Settings, data: TrainingData) -> None:
        self._settings = settings
        self._data = data
        self._job: ProfileJob | None = None
        self._attached = False

    def start(self) -> None:
        """Find the report, or start the process that makes it."""
        from cryptoml.reports.profile import ProfileJob, start_profile

        version = re.sub(r"[^A-Za-z0-9]+", "-", self._data.version.text)[:60]
        output = self._settings.project_dir / ".cryptoml" / "profiles" / version / FILE_NAME
        if output.is_file():
            self._job = ProfileJob(output, None)
            return
        candles = output.with_name(f"candles.{os.getpid()}.parquet")
        output.parent.mkdir(parents=True, exist_ok=True)
        self._data.candles.frame.to_parquet(candles)
        dataset = self._data.dataset
        self._job = start_profile(
            candles, output, title=f"{dataset.symbol} {dataset.interval.label}", remove_source=True
        )

    def cancel(self) -> None:
        """Stop the process if the training fails."""
        if self._job is not None:
            self._job.cancel()

    def attach(self, run: JournalRun) -> None:
        """Add the report to the run's artifacts if the report is finished."""
        if self._job is not None and self._job.ready():
            run.add_artifact(self._job.output, "data")
            self._attached = True

    def hand_over(self, run: JournalRun) -> None:
        """Start a background process that adds an unfinished report to the run."""
        if self._job is None or self._attached:
            return
        subprocess.Popen(
            [sys.executable, "-m", "cryptoml.workflows.training.profile", str(run.entry.path), str(self._job.output)],
            cwd=self._settings.project_dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def attach_when_ready(settings: Settings, journal: Path, report: Path) -> bool:
    """Wait up to TIMEOUT_S for the report, add it to the journal's run and deliver the run; False after a timeout."""
    from cryptoml.registry.registrar import registrar
    from cryptoml.tracking.journal.deliver import deliver
    from cryptoml.tracking.journal.entries import JournalEntry
    from cryptoml.tracking.journal.journal import JournalRun
    from cryptoml.tracking.store.project_store import TRAIN, open_project_store

    deadline = time.monotonic() + TIMEOUT_S
    while not report.is_file():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    entry = JournalEntry(journal)
    JournalRun(entry, "").add_artifact(report, "data")
    with open_project_store(settings, TRAIN) as store:
        deliver(entry, store, register=registrar(store))
    return True


if __name__ == "__main__":
    sys.exit(0 if attach_when_ready(load_settings(), Path(sys.argv[1]), Path(sys.argv[2])) else 1)
