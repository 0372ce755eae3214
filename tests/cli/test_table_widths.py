"""The tables of train and compare on terminals of 80, 120 and 200 columns, and without a terminal."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

import pytest

from cryptoml.evaluation.metrics import table_metrics
from tests.lab import Lab

# What a training of two models comes to, printed as `cryptoml train` prints it.
TRAIN = """
import sys
from types import SimpleNamespace
from cryptoml.cli.commands.train import _show
from cryptoml.evaluation.metrics import stored_metrics
from cryptoml.workflows.training.results import ModelRow, TrainResult
metrics = dict.fromkeys(stored_metrics(), 0.1234567)
metrics |= {"cv_rmse_mean": 12828.604, "dm_p_value_adjusted": float("nan")}
rows = [ModelRow("persistence", "p", "FINISHED", metrics=metrics),
        ModelRow("ridge", "r", "FINISHED", metrics=metrics, verdict="beats"),
        ModelRow("rf", "f", "FAILED", error="out of memory")]
given = dict.fromkeys(TrainResult.__dataclass_fields__, "") | dict(
    n_rows=1000, models=rows, best=rows[1], registered=None, trouble=None,
    alternative=None, gate_reasons=(), gate_warnings=())
_show(TrainResult(**given), wide="--wide" in sys.argv)
"""


def on_terminal(command: list[str], width: int, folder: Path, environ: Mapping[str, str]) -> list[str]:
    """Return the lines that a command prints on a terminal of this width, without colours."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    kept = {name: text for name, text in environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    with subprocess.Popen(
        command, cwd=folder, env=kept, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:  # The terminal's other end is closed.
            pass
        os.close(ours)
        assert process.stderr is not None
        assert process.wait() == 0, process.stderr.read()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode()).splitlines()


def heading(lines: list[str], first: str) -> list[str]:
    """Return the column titles of the table whose first column is `first`."""
    line = next(line for line in lines if line.strip().startswith(f"{first}  "))
    return re.split(r"\s{2,}", line.strip())


@pytest.mark.parametrize(
    ("width", "shown", "absent"),
    [
        (80, ("cv RMSE", "skill %", "vs persistence", "p", "test RMSE"), ("test R2", "test MAE")),
        (120, ("test RMSE", "interval skill %", "coverage %"), ("return RMSE bp",)),
        (240, tuple(metric.title for metric in table_metrics()), ()),
    ],
)
def test_train_shows_the_columns_that_fit_the_terminal(
    tmp_path: Path, width: int, shown: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    lines = on_terminal([sys.executable, "-c", TRAIN], width, tmp_path, os.environ)
    titles = heading(lines, "model")
    assert set(shown) <= set(titles)
    assert not set(absent) & set(titles)
    assert max(len(line.rstrip()) for line in lines if "columns are hidden" not in line) <= width
    assert any("columns are hidden" in line for line in lines) == (width < 240)
    ridge = next(line for line in lines if line.strip().startswith("ridge *"))
    # The p-value is NaN, which is shown as a dash.
    assert ridge.split()[2] == "12,829"
    assert "–" in ridge.split()


def test_train_shows_all_columns_with_wide_and_without_a_terminal(tmp_path: Path) -> None:
    every = {metric.title for metric in table_metrics()} | {"model", "vs persistence"}
    wide = on_terminal([sys.executable, "-c", TRAIN, "--wide"], 80, tmp_path, os.environ)
    assert set(re.split(r"\s{2,}", " ".join(wide[2:5]).strip())) >= {"model", "cv RMSE", "skill %"}
    for columns in ("80", None):
        environ = {name: text for name, text in os.environ.items() if name != "COLUMNS"}
        environ |= {"COLUMNS": columns} if columns else {}
        piped = subprocess.run(
            [sys.executable, "-c", TRAIN], env=environ, capture_output=True, text=True, check=True
        ).stdout
        assert "\x1b" not in piped
        assert set(heading(piped.splitlines(), "model")) == every


@pytest.mark.parametrize("width", [80, 120, 240])
def test_compare_fits_the_terminal(lab: Lab, width: int) -> None:
    command = lab.project.command("compare", "--significance")
    lines = on_terminal(command, width, lab.project.folder, lab.project.environ)
    assert max(len(line.rstrip()) for line in lines) <= width
    titles = heading(lines, "run")
    assert {"cv RMSE", "skill %", "vs persistence", "p"} <= set(titles)
    assert ("test RMSE" in titles) == (width >= 120)
    assert ("test R2" in titles) == (width >= 240)
    for name in lab.names.values():
        assert any(line.strip().startswith(name) for line in lines), name
    assert {"lower error", "than", "p (Holm)", "significant"} <= set(heading(lines, "lower error"))


def test_compare_is_complete_without_a_terminal(lab: Lab) -> None:
    done = lab.project.run("compare", "--significance", environ={"COLUMNS": "80"})
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert {metric.title for metric in table_metrics()} <= set(heading(lines, "run"))
    assert "forecasts" in heading(lines, "lower error")
    assert "columns are hidden" not in done.out


# The ledger of two transitions, printed as `cryptoml promote --history` prints it.
HISTORY = """
import sys
from cryptoml.cli.commands.promote import _show_history
from cryptoml.registry.ledger import Entry
given = dict.fromkeys(Entry.__dataclass_fields__, "") | dict(
    time="2026-01-02T03:04:05Z", who="Ada Lovelace", version="12", from_stage="staging", to_stage="production",
    kind="promotion", forced=True, displaced=("11", "archived"), metrics={"skill": 0.01},
    reason="better than the version in production on the latest candles")
_show_history((Entry(**given | {"number": 1}), Entry(**given | {"number": 2})), (), wide="--wide" in sys.argv)
"""


@pytest.mark.parametrize("width", [80, 120, 240])
def test_the_history_fits_the_terminal(tmp_path: Path, width: int) -> None:
    lines = on_terminal([sys.executable, "-c", HISTORY], width, tmp_path, os.environ)
    assert max(len(line.rstrip()) for line in lines) <= width
    assert heading(lines, "#")[:6] == ["#", "time", "version", "from", "to", "kind"]
    for number in "12":
        assert any(
            re.split(r"\s{2,}", line.strip())[:6]
            == [number, "2026-01-02 03:04:05", "v12", "staging", "production", "promotion, forced"]
            for line in lines
        )
    assert any("columns are hidden" in line for line in lines) == (width < 200)
    wide = on_terminal([sys.executable, "-c", HISTORY, "--wide"], width, tmp_path, os.environ)
    assert "production on the latest candles" in " ".join(wide)
