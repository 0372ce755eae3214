"""CSV files for users: formulas are escaped, numbers are unchanged."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pandas as pd
import pytest

from cryptoml.data.table_files import escape_formula, write_table


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_a_formula_is_prefixed_with_an_apostrophe(text: str) -> None:
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-0.5", "+3", "-1e-05", "-.5", "a=b", "", "2024-01-01", -0.5, 3, None, True])
def test_numbers_and_other_text_are_unchanged(value: object) -> None:
    assert escape_formula(value) == value


def test_a_csv_file_has_escaped_formulas_and_unchanged_numbers(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "run_name": ["=HYPERLINK(1)", "ridge"],
            "kind": pd.Categorical(["@x", "y"]),
            "skill": [-0.5, 0.25],
            "param.alpha": ["-0.5", None],
            "made_at": pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True),
            "+metric": [1, -1],
        }
    )
    write_table(table, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["run_name", "kind", "skill", "param.alpha", "made_at", "'+metric"],
        ["'=HYPERLINK(1)", "'@x", "-0.5", "-0.5", "2024-01-01T00:00:00Z", "1"],
        ["ridge", "y", "0.25", "", "2024-01-02T00:00:00Z", "-1"],
    ]
    write_table(table, tmp_path / "t.parquet")
    assert pd.read_parquet(tmp_path / "t.parquet")["run_name"][0] == "=HYPERLINK(1)"


def test_a_compressed_table_has_the_same_bytes_under_any_file_name(tmp_path: Path) -> None:
    table = pd.DataFrame({"time": pd.to_datetime(["2024-01-01"], utc=True), "skill": [0.5]})
    for name in ("a.csv.gz", "other.csv.gz"):
        write_table(table, tmp_path / name)
    packed = (tmp_path / "a.csv.gz").read_bytes()
    assert packed == (tmp_path / "other.csv.gz").read_bytes()
    assert gzip.decompress(packed) == b"time,skill\n2024-01-01T00:00:00Z,0.5\n"
