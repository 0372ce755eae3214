"""The profile report of a data set, made by fg-data-profiling in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MOST_ROWS = 20_000


@dataclass(frozen=True)
class ProfileJob:
    """A report in the making; `output` appears whole when it is done."""

    output: Path
    process: subprocess.Popen[bytes] | None

    def ready(self) -> bool:
        """Whether the report is there."""
        return self.output.is_file()

    def cancel(self) -> None:
        """End the process and what it started."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=5)


def start_profile(candles: Path, output: Path, *, title: str) -> ProfileJob:
    """Begin a report on a Parquet file of candles, at low priority; nothing is begun when it is there already."""
    if output.is_file():
        return ProfileJob(output, None)
    output.parent.mkdir(parents=True, exist_ok=True)
    log = output.with_suffix(".log")
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "cryptoml.reports.profile", str(candles), str(output), title],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            start_new_session=True,
        )
    return ProfileJob(output, process)


def make_profile(candles: Path, output: Path, *, title: str) -> None:
    """Write the report, whole or not at all. At most MOST_ROWS rows, evenly taken, are described."""
    import pandas as pd
    from data_profiling import ProfileReport

    frame = pd.read_parquet(candles)
    step = max(1, -(-len(frame) // MOST_ROWS))
    shown = frame.iloc[::step].reset_index()
    name = title if step == 1 else f"{title} (every {step}th of {len(frame):,} candles)"
    report = ProfileReport(shown, title=name, minimal=True, progress_bar=False)
    partial = output.with_suffix(f".{os.getpid()}.partial.html")
    try:
        report.to_file(partial, silent=True)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(19)
    make_profile(Path(sys.argv[1]), Path(sys.argv[2]), title=sys.argv[3])
    Path(sys.argv[1]).unlink(missing_ok=True)
