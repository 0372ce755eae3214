"""Run numbers: each is assigned once, across processes."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

from cryptoml.tracking.run_names import highest_number, reserve_run_number, run_name

DAY = date(2024, 11, 27)
SCRIPT = """
import sys
from datetime import date
from pathlib import Path
from cryptoml.tracking.run_names import reserve_run_number
for _ in range(5):
    print(reserve_run_number(Path(sys.argv[1]), date(2024, 11, 27), "ridge"))
"""


def test_sixteen_processes_get_eighty_numbers(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "new" / "folder")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(16)]
    numbers = [int(line) for child in children for line in child.communicate()[0].split()]
    assert all(child.returncode == 0 for child in children)
    assert sorted(numbers) == list(range(1, 81))


def test_a_damaged_file_raises_no_error(tmp_path: Path) -> None:
    (tmp_path / "run_numbers.json").write_text('{"ridge_2024-11-27": "many"')
    assert reserve_run_number(tmp_path, DAY, "ridge") == 1
    (tmp_path / "run_numbers.json").write_text("[1, 2]")
    assert reserve_run_number(tmp_path, DAY, "ridge", used=4) == 5


def test_highest_number_uses_only_names_of_that_model_and_day() -> None:
    names = [
        "ridge_2024-11-27_001",
        "ridge_2024-11-27_1002",
        "ridge_2024-11-28_2000",
        "xridge_2024-11-27_3000",
        "ridge_2024-11-27_4000_copy",
        "ridge_2024-11-27_07",
    ]
    assert highest_number(names, "ridge", DAY) == 1002
    assert highest_number([], "ridge", DAY) == 0


def test_a_run_number_has_at_least_three_digits() -> None:
    assert run_name("random_forest", DAY, 7) == "random_forest_2024-11-27_007"
    assert run_name("random_forest", DAY, 1234) == "random_forest_2024-11-27_1234"
