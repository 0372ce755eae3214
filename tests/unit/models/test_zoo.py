"""The declarations of the models, and what is derived from the list of models."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cryptoml.config.load import load_config
from cryptoml.config.parameters import allowed_values
from cryptoml.models.zoo import BASELINE, MODELS

REPOSITORY = Path(__file__).resolve().parents[3]
OTHERS = [key for key in MODELS if key != BASELINE]


def test_exactly_one_model_is_the_baseline() -> None:
    assert [key for key, model in MODELS.items() if model.is_baseline] == [BASELINE]


@pytest.mark.parametrize("key", MODELS)
def test_a_model_is_fully_declared(key: str) -> None:
    model = MODELS[key]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", model.key)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", model.long_name)
    assert model.summary.endswith(".")
    assert model.implementations
    for name, field in model.parameters.model_fields.items():
        assert field.description, name
        assert allowed_values(field), f"{name} has neither a range nor choices"


def test_names_are_unique() -> None:
    assert len({model.long_name for model in MODELS.values()}) == len(MODELS)


def test_parameters_are_strict_and_frozen() -> None:
    for model in MODELS.values():
        config = model.parameters.model_config
        assert (config["extra"], config["frozen"], config["strict"]) == ("forbid", True, True)


def test_all_but_the_baseline_are_trained_by_default() -> None:
    assert list(load_config(None, models=MODELS).config.training.models) == OTHERS


def test_the_dags_offer_the_same_models() -> None:
    source = (REPOSITORY / "airflow" / "dags" / "training_params.py").read_text(encoding="utf-8")
    values = [
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and [ast.unparse(one) for one in node.targets] == ["MODELS"]
    ]
    assert values == [tuple(OTHERS)]


def test_the_list_of_models_imports_no_model_library() -> None:
    script = (
        "import sys; from cryptoml.models.zoo import MODELS; assert MODELS; "
        "heavy = {'numpy', 'pandas', 'scipy', 'sklearn', 'sklearnex', 'skops', 'xgboost', 'mlflow'}; "
        "found = heavy & set(sys.modules); assert not found, found"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_code_outside_a_model_refers_to_its_key() -> None:
    """Search for quoted keys outside the modules of the models."""
    modules = {Path(sys.modules[model.parameters.__module__].__file__ or "") for model in MODELS.values()}
    quoted = re.compile("|".join(f"[\"']{key}[\"']" for key in MODELS))
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in sorted((REPOSITORY / "cryptoml").rglob("*.py"))
        if path not in modules and path.name != "zoo.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if quoted.search(line)
    ]
    assert found == []
