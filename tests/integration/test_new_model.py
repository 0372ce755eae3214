"""A new model is one module and one line in the list; training, comparison and storage follow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Done, Project, make_project

MODULE = '''"""Least squares without a penalty."""

from pydantic import Field

from cryptoml.config.parameters import Parameters
from cryptoml.models.base import Model
from cryptoml.models.storage.skops_file import SkopsFile


class LeastSquaresParameters(Parameters):
    """Hyper-parameters of least squares."""

    tol: float = Field(1e-6, ge=0.0, le=1.0, description="precision of the solution")


def _fit(params, X, y, *, seed, implementation):
    from sklearn.linear_model import LinearRegression

    return LinearRegression(tol=params.tol).fit(X, y)


MODEL = Model(
    key="ols",
    long_name="least_squares",
    summary="Ordinary least squares.",
    parameters=LeastSquaresParameters,
    implementations={"lapack": ("sklearn.linear_model",)},
    fit=_fit,
    storage=SkopsFile(classes={"lapack": "sklearn.linear_model._base.LinearRegression"}),
)
'''


@dataclass(frozen=True)
class Extended(Project):
    """A project whose `cryptoml` is a copy of the package with one more model."""

    package: Path

    def python(self, *arguments: str, cwd: Path) -> Done:
        """Run this Python with the copy in place of the package."""
        command = [sys.executable, "-P", *arguments]
        done = subprocess.run(command, cwd=cwd, env=self.environ, capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Extended:
    folder = tmp_path_factory.mktemp("extended")
    package = folder / "copy" / "cryptoml"
    shutil.copytree(REPOSITORY / "cryptoml", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "models" / "least_squares.py").write_text(MODULE, encoding="utf-8")
    zoo = package / "models" / "zoo.py"
    lines = zoo.read_text(encoding="utf-8").splitlines()
    lines.insert(lines.index('    "xgb",') + 1, '    "least_squares",')
    zoo.write_text("\n".join(lines) + "\n", encoding="utf-8")
    project = make_project(folder)
    return Extended(project.folder, {**project.environ, "PYTHONPATH": str(package.parent)}, package)


def test_it_is_trained_compared_and_used_by_its_name(extended: Extended) -> None:
    made = extended.run("sample-data", "--years", 0.5, "--signal", 0.1, "--seed", 3, "-o", "data/raw/sim.csv")
    assert made.code == 0, made.err
    trained = extended.run(
        "train", "--models", "ols", "--set", "models.ols.tol=1e-5", "--set", "gate.min_skill=-1",
        "--set", "tracking.profile_report=false", "--set", "split.cross_validation_folds=2", "--json",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    models = trained.json()["models"]
    assert isinstance(models, list)
    assert [one["model_type"] for one in models] == ["persistence", "ols"]
    run_name = models[1]["run_name"]
    assert run_name.startswith("least_squares_")
    compared = extended.run("compare")
    assert compared.code == 0, compared.err
    assert run_name in compared.out
    promoted = extended.run("promote", "v1", "production", "--reason", "test", "--force")
    assert promoted.code == 0, promoted.err
    predicted = extended.run("predict", "--data", "data/raw/sim.csv", "--set", "prediction.max_age_intervals=999999")
    assert predicted.code == 0, predicted.err
    wrong = extended.run("train", "--models", "ols", "--set", "models.ols.tol=2")
    assert wrong.code == 3
    assert "models.ols.tol: must be a number from 0 to 1, not 2" in wrong.err


def test_it_is_trained_by_default(extended: Extended) -> None:
    script = (
        "from cryptoml.config.load import load_config; from cryptoml.models.zoo import MODELS; "
        "print(*load_config(None, models=MODELS).config.training.models)"
    )
    done = extended.python("-c", script, cwd=extended.folder)
    assert done.out.split()[-1] == "ols", done.err


def test_it_keeps_the_contract_of_all_models(extended: Extended) -> None:
    tests = REPOSITORY / "tests" / "unit" / "models"
    done = extended.python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "ols", str(tests / "test_models.py"),
        str(tests / "test_zoo.py"), cwd=REPOSITORY,
    )  # fmt: skip
    assert done.code == 0, done.out[-3000:]
    assert "3 passed" in done.out
