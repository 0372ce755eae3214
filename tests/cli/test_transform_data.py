"""`cryptoml transform-data`: quality gates, identical output for equal input, and equal results in training."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from cryptoml.data.candles import write_candles
from cryptoml.data.simulation.simulate import simulate
from tests.conftest import Project


def raw_file(folder: Path, name: str = "BTCUSDT_1h.csv", *, candles: int = 800) -> Path:
    made = simulate(symbol="BTCUSDT", candles=candles, signal=0.02, seed=3)
    write_candles(made.frame.assign(symbol="BTCUSDT"), folder / name)
    return folder / name


def test_equal_input_gives_identical_output_in_any_folder(project: Project):
    path = raw_file(project.folder)
    done = project.run("transform-data", path)
    made = project.folder / "data" / "processed" / "BTCUSDT_1h.parquet"
    assert (done.code, done.out) == (0, f"{made}\n"), done.err
    other = raw_file(project.folder / "else" / "where")
    again = project.run(
        "transform-data", other, "-o", "again.parquet", environ={"PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo"}
    )
    assert again.out == "again.parquet\n"
    assert (project.folder / "again.parquet").read_bytes() == made.read_bytes()
    quality = made.with_name("BTCUSDT_1h.quality.json")
    assert (project.folder / "again.quality.json").read_bytes() == quality.read_bytes()
    document = json.loads(quality.read_text())
    assert document["passed"] is True
    assert [gate["gate"] for gate in document["gates"]] == ["missing", "duplicates", "spikes"]
    assert document["candles"]["candles"] == 800


def test_candles_that_fail_a_gate_give_exit_code_4_and_a_report(project: Project):
    path = raw_file(project.folder)
    frame = pd.read_csv(path)
    frame = frame.drop(index=range(100, 200))
    frame.loc[400, "high"] *= 3
    frame.loc[600, "high"] *= 3
    frame = pd.concat([frame, frame.tail(20)])
    frame.to_csv(path, index=False)
    done = project.run("transform-data", path, "--set", "quality.max_age_intervals=24")
    assert (done.code, done.out) == (4, "")
    for words in (
        "102 of 800 candles are missing (12.8%)",
        "rows are duplicates",
        "rows are price spikes",
        "the limit is 24",
    ):
        assert words in done.err, done.err
    assert "Hint: see" in done.err
    folder = project.folder / "data" / "processed"
    assert [one.name for one in folder.iterdir()] == ["BTCUSDT_1h.quality.json"], "no data set"
    lenient = [f"quality.max_{name}_share=0.2" for name in ("missing", "duplicate", "spike")]
    done = project.run("transform-data", path, "--json", *(word for key in lenient for word in ("--set", key)))
    assert done.code == 0, done.err
    assert done.json()["passed"] is True
    assert done.json()["path"] == str(folder / "BTCUSDT_1h.parquet")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_an_output_folder_without_permission_is_reported(project: Project):
    path = raw_file(project.folder)
    (project.folder / "locked").mkdir(mode=0o500)
    assert project.run("transform-data", path, "-o", "locked").code == 7
