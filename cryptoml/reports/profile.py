"""The profile report of a data set, made by fg-data-profiling in a process of its own.

The library takes nine seconds to import and keeps a core busy, so it never runs inside a training. Run as a
program, this module is that process.
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

MOST_ROWS = 20_000
REMOVE_SOURCE = "--remove-source"


@dataclass(frozen=True)
class ProfileJob:
    """A report in the making; `output` appears whole when it is done.

    process: None where the report was there already or could not be begun (`log` then says why).
    source: the candles' file, if it is the job's to remove.
    """

    output: Path
    process: subprocess.Popen[bytes] | None
    source: Path | None = None

    @property
    def log(self) -> Path:
        """What the process wrote; gone when all went well."""
        return self.output.with_suffix(".log")

    def ready(self) -> bool:
        """Whether the report is there."""
        return self.output.is_file()

    def finish(self, wait_s: float = 0.0) -> Path | None:
        """The report if it is there within `wait_s` seconds, else None; never raises, and the process goes on."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired, OSError):
                self.process.wait(timeout=max(0.0, wait_s))
        return self.output if self.ready() else None

    def cancel(self) -> None:
        """End the process and all it started, and remove what it left unfinished."""
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
    """Begin a report on a file of candles, at low priority; nothing is begun when it is there already.

    source: Parquet, or CSV (plain or gzip), with a time index or a `timestamp` column. It must stay until the
    report is done; with `remove_source` the job removes it then.
    output: the HTML file, one for each version of the data; its folder is made. Raises nothing: a report that
    cannot be begun is a report that does not come.
    """
    if output.is_file():
        if remove_source:
            source.unlink(missing_ok=True)
        return ProfileJob(output, None)
    command = [sys.executable, "-m", "cryptoml.reports.profile", str(source), str(output), title]
    mine = source if remove_source else None
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
        if mine is not None:
            with contextlib.suppress(OSError):
                mine.unlink(missing_ok=True)
        return ProfileJob(output, None)
    return ProfileJob(output, process, mine)


# The library reports each use to its makers over the network unless told not to, without a time-out.
# One thread: the cores belong to the training. Agg: no display is asked for.
ENVIRON = {
    "YDATA_PROFILING_NO_ANALYTICS": "1",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}


def make_profile(source: Path, output: Path, *, title: str) -> None:
    """Write the report, whole or not at all. At most MOST_ROWS rows, evenly taken, are described."""
    # Set before the library is imported: it reads the environment on its own.
    os.environ.update(ENVIRON)
    from data_profiling import ProfileReport

    frame = _read(source)
    step = max(1, -(-len(frame) // MOST_ROWS))
    name = title if step == 1 else f"{title} (one in {step} of {len(frame):,} candles)"
    # No theme: the others fetch a font. Everything inline: the file is read where there is no network.
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
    """`SOURCE OUTPUT TITLE [--remove-source]`: make one report."""
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
