"""Tree indices are checked before compiled code follows them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cryptoml.errors import DataError
from cryptoml.models.forecaster import load_forecaster
from tests.hostile import (
    copy_of,
    edit_array,
    node_arrays,
)


@pytest.mark.parametrize("name", ["rf-sklearn", "gbm-exact", "gbm-hist"])
@pytest.mark.parametrize("case", ["beyond", "cycle", "negative", "feature", "empty"])
def test_tree_indices_are_checked(name: str, case: str, tmp_path: Path) -> None:
    folder = copy_of(name, tmp_path)
    path = folder / "estimator.skops"
    left, right, feature = ("left", "right", "feature_idx") if name == "gbm-hist" else (
        "left_child", "right_child", "feature"
    )  # fmt: skip

    def edit(array: np.ndarray) -> np.ndarray | None:
        if case == "beyond":
            array[right][0] = 2**31 - 1
        elif case == "cycle":
            array[left][0] = 0
        elif case == "negative":
            array[left][0] = -5 if name != "gbm-hist" else 2**32 - 5
        elif case == "feature":
            array[feature][0] = 32
        else:
            return array[:0]
        return None

    edit_array(path, node_arrays(path)[-1], edit)
    with pytest.raises(DataError):
        load_forecaster(folder)


@pytest.mark.parametrize("name", ["rf-sklearn", "gbm-exact", "gbm-hist"])
def test_mutated_trees_never_crash_the_process(name: str, tmp_path: Path) -> None:
    """After random changes to node arrays, models that load must forecast without accessing other memory."""
    copy_of(name, tmp_path)
    script = """
import random, sys, warnings
from pathlib import Path
import numpy as np
from cryptoml.errors import DataError
from cryptoml.models.forecaster import load_forecaster
from tests.hostile import edit_array, members, node_arrays, write_members
warnings.simplefilter("ignore")
folder, rng = Path(sys.argv[1]), random.Random(1)
path = folder / "estimator.skops"
kept = members(path)
rows = np.random.default_rng(0).normal(size=(50, 32)).astype("float32")
refused = 0
for _ in range(25):
    write_members(path, kept)
    def edit(array):
        data = array.view("u1").reshape(-1)
        for _ in range(2):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 128, 255))
    edit_array(path, rng.choice(node_arrays(path)), edit)
    try:
        load_forecaster(folder).raw_return(rows)
    except DataError:
        refused += 1
print(refused)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / name)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 2
