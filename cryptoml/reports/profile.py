"""Creates the profile report of a data set with fg-data-profiling in a separate process.

The library takes nine seconds to import and uses a full core, so it does not run in the training process. The separate
process runs this module as a program.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.system.files import replacing

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 20_000
REMOVE_SOURCE = "--remove-source"


@dataclass(frozen=True)
class ProfileJob:
    """A job that creates a report; `output` is created atomically when it is done.

    process: None if the report already existed or the process could not be started (see `log`). source: the candle
    file, if the job deletes it.
    """

    output: Path
    process: subprocess.Popen[bytes] | None
    source: Path | None = None

    @property
    def log(self) -> Path:
        """The output of the process; deleted on success."""
        return self.output.with_suffix(".log")

    def ready(self) -> bool:
        """Return whether the report exists."""
        return self.output.is_file()

    def finish(self, wait_s: float = 0.0) -> Path | None:
        """Wait up to `wait_s` seconds for the report; return None on timeout. The process continues; never raises."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired, OSError):
                self.process.wait(timeout=max(0.0, wait_s))
        return self.output if self.ready() else None

    def cancel(self) -> None:
        """Kill the process and its children, and delete unfinished files."""
        if self.process is None or self.process.poll() is not None:
            return
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        leftovers = [_partial(self.output, self.process.pid), self.log]
        for path in [*leftovers, self.source] if self.source else leftovers:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def start_profile(source: Path, output: Path, *, title: str, remove_source: bool = False) -> ProfileJob:
    """Start creating a report on a candle file, at low priority, unless the report already exists.

    source: Parquet or CSV (plain or gzip) with a time index or a `timestamp` column; needed until the report is done.
    remove_source: delete the source when the report is done. output: the HTML file, one per data version; its folder
    is created. Never raises; if the process cannot be started, there is no report.
    """
    if output.is_file():
        if remove_source:
            source.unlink(missing_ok=True)
        return ProfileJob(output, None)
    command = [sys.executable, "-m", "cryptoml.reports.profile", str(source), str(output), title]
    owned_source = source if remove_source else None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with ProfileJob(output, None).log.open("ab") as log:
            process = subprocess.Popen(
                [*command, REMOVE_SOURCE] if remove_source else command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **ENVIRON},
            )
    except OSError:
        if owned_source is not None:
            with contextlib.suppress(OSError):
                owned_source.unlink(missing_ok=True)
        return ProfileJob(output, None)
    return ProfileJob(output, process, owned_source)


# Disables the library's usage reports, which are sent without a timeout. One thread, to leave the cores to the
# training. Agg: needs no display.
ENVIRON = {
    "YDATA_PROFILING_NO_ANALYTICS": "1",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}


def make_profile(source: Path, output: Path, *, title: str) -> None:
    """Write the report atomically, on a sample of at most MAX_ROWS evenly spaced rows."""
    # The library reads the environment when it is imported.
    os.environ.update(ENVIRON)
    from data_profiling import ProfileReport

    frame = _read(source)
    step = max(1, -(-len(frame) // MAX_ROWS))
    name = title if step == 1 else f"{title} (1 in {step} of {len(frame):,} candles)"
    # No theme, because themes download a font; inline assets, so that the file works offline.
    report = ProfileReport(
        frame.iloc[::step].reset_index(drop=True),
        title=name,
        minimal=True,
        progress_bar=False,
        pool_size=1,
        html={"inline": True, "use_local_assets": True, "style": {"theme": None}},
    )
    with replacing(output, part=_partial(output, os.getpid())) as part:
        report.to_file(part, silent=True)


def _partial(output: Path, pid: int) -> Path:
    return output.with_name(f"{output.stem}.{pid}.partial.html")


def _read(source: Path) -> pd.DataFrame:
    import pandas as pd

    if source.name.endswith((".parquet", ".pq")):
        frame = pd.read_parquet(source)
        return frame.reset_index() if frame.index.name else frame
    frame = pd.read_csv(source)
    if "timestamp" in frame:
        frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True, format="ISO8601")
    return frame


def main(arguments: list[str]) -> int:
    """Create one report; arguments: SOURCE OUTPUT TITLE [--remove-source]."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(19)
    source, output = Path(arguments[0]), Path(arguments[1])
    try:
        make_profile(source, output, title=arguments[2])
    finally:
        if REMOVE_SOURCE in arguments[3:]:
            source.unlink(missing_ok=True)
    ProfileJob(output, None).log.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
