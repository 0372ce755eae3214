"""The layers of the config and its error messages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, model_validator

from cryptoml.config.load import load_config
from cryptoml.config.parameters import Parameters
from cryptoml.errors import ConfigError


class ForestParameters(Parameters):
    n_estimators: int = Field(200, ge=1, le=5000)
    max_features: float = Field(0.3, ge=0.01, le=1.0)
    implementation: Literal["auto", "sklearn"] = "auto"
    max_depth: int | None = Field(None, ge=1, le=64)


class RidgeParameters(Parameters):
    alpha: float = Field(1.0, ge=0.0)


class NoParameters(Parameters):
    pass


@dataclass(frozen=True)
class Model:
    parameters: type[Parameters]
    is_baseline: bool = False


MODELS = {
    "persistence": Model(NoParameters, is_baseline=True),
    "rf": Model(ForestParameters),
    "ridge": Model(RidgeParameters),
}


def load(tmp_path: Path, text: str = "", **more):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return load_config(path, models=MODELS, **more)


def test_defaults_are_complete(tmp_path):
    config = load(tmp_path).config
    assert config.models == {
        "persistence": {},
        "rf": {"n_estimators": 200, "max_features": 0.3, "implementation": "auto", "max_depth": None},
        "ridge": {"alpha": 1.0},
    }
    assert config.split.train_test_split_ratio == 0.8
    assert config.training.models == ("rf", "ridge"), "all but the baseline"


def test_precedence_is_option_environment_dotenv_file(tmp_path):
    text = "models: {rf: {n_estimators: 1, max_depth: 3}}\nsplit: {cross_validation_folds: 2}\n"
    environ = {"CRYPTOML_MODELS__RF__N_ESTIMATORS": "3", "CRYPTOML_SPLIT__CROSS_VALIDATION_FOLDS": "4"}
    dotenv = {"CRYPTOML_MODELS__RF__N_ESTIMATORS": "2", "CRYPTOML_MODELS__RIDGE__ALPHA": "1e-3"}
    loaded = load(tmp_path, text, environ=environ, dotenv=dotenv, overrides=["models.rf.n_estimators=5"])
    assert loaded.config.models["rf"]["n_estimators"] == 5
    assert loaded.config.models["rf"]["max_depth"] == 3
    assert loaded.config.models["ridge"]["alpha"] == 0.001
    assert loaded.config.split.cross_validation_folds == 4
    assert loaded.origins["split.cross_validation_folds"] == ("environment, CRYPTOML_SPLIT__CROSS_VALIDATION_FOLDS")


def test_all_errors_are_reported_at_once_with_key_and_source(tmp_path):
    text = "split: {cross_validation_foldz: 3}\nmodels: {rf: {n_estimator: 3, max_features: 7}, rff: {}}\n"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, overrides=["training.random_seed=abc", "nonsense"])
    message = str(caught.value)
    assert "c.yaml: split.cross_validation_foldz" in message
    assert "did you mean cross_validation_folds?" in message
    assert "models.rf.n_estimator: unknown parameter; did you mean n_estimators?" in message
    assert "models.rf.max_features: must be a number from 0.01 to 1, not 7" in message
    assert "--set training.random_seed=abc" in message
    assert "--set nonsense: must have the form" in message
    assert caught.value.exit_code == 3


def test_an_unknown_model_error_suggests_the_most_similar_model(tmp_path):
    with pytest.raises(ConfigError, match=r"models.ridg: unknown model; did you mean ridge"):
        load(tmp_path, "models: {ridg: {alpha: 1}}")


@pytest.mark.parametrize(
    ("given", "expected"), [("rf", ("rf",)), ("rf,gbm", ("rf", "gbm")), ("[rf, gbm]", ("rf", "gbm"))]
)
def test_a_list_may_be_given_as_a_string(tmp_path, given, expected):
    assert load(tmp_path, overrides=[f"training.models={given}"]).config.training.models == expected


def test_the_hash_depends_on_values_and_not_on_their_source(tmp_path):
    by_file = load(tmp_path, "split: {cross_validation_folds: 3}").hash()
    assert by_file == load(tmp_path, overrides=["split.cross_validation_folds=3"]).hash()
    assert by_file != load(tmp_path).hash()


@pytest.mark.parametrize("text", ["[1, 2]", "a: [1", "3"])
def test_an_invalid_config_file_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a: [1", "line 1: invalid YAML"),
        (b"\xff", "is not UTF-8 text"),
        (b"#" * 1_000_001, "more than 1,000,000 characters"),
        (b"[1]", "must be a mapping"),
    ],
)
def test_an_unreadable_config_file_is_reported_with_a_hint(tmp_path, content, problem):
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path, models=MODELS)
    assert problem in caught.value.fact
    assert caught.value.hint
    with pytest.raises(ConfigError, match=r"Is a directory\. Hint: choose another file with --config"):
        load_config(tmp_path, models=MODELS)


def test_a_missing_config_file_is_reported():
    with pytest.raises(ConfigError, match="the config file does not exist"):
        load_config(Path("nowhere.yaml"), models=MODELS)


@pytest.mark.parametrize(
    ("param", "value", "problem"),
    [
        ("rf.n_estimators", "true", "must be an integer from 1 to 5,000, not True"),
        ("rf.n_estimators", "1.5", "must be an integer from 1 to 5,000, not 1.5"),
        ("rf.n_estimators", "0", "must be an integer from 1 to 5,000, not 0"),
        ("rf.n_estimators", "null", "must be an integer from 1 to 5,000, not None"),
        ("rf.max_features", "some", "must be a number from 0.01 to 1, not 'some'"),
        ("rf.max_features", "1.01", "must be a number from 0.01 to 1, not 1.01"),
        ("rf.max_features", ".nan", "must be a number from 0.01 to 1, not nan"),
        ("rf.max_depth", "65", "must be an integer from 1 to 64 or null, not 65"),
        ("rf.implementation", "gpu", "must be one of auto, sklearn, not 'gpu'"),
        ("ridge.alpha", "-1", "must be a number of at least 0, not -1"),
        ("ridge.alpha", ".inf", "must be a number of at least 0, not inf"),
        ("ridge.beta", "1", "unknown parameter; valid names: alpha"),
    ],
)
def test_a_wrong_parameter_is_reported_with_source_key_and_range(tmp_path, param, value, problem):
    override = f"models.{param}={value}"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, overrides=[override])
    assert caught.value.fact == f"--set {override}: models.{param}: {problem}"


def test_an_integer_is_accepted_as_a_number_and_kept_as_given(tmp_path):
    alpha = load(tmp_path, "models: {ridge: {alpha: 2}}").config.models["ridge"]["alpha"]
    assert (alpha, type(alpha)) == (2, int)


def test_a_check_across_parameters_keeps_its_message(tmp_path):
    class Bounds(Parameters):
        low: int = Field(1, ge=0, le=9)
        high: int = Field(2, ge=0, le=9)

        @model_validator(mode="after")
        def ordered(self):
            if self.low > self.high:
                raise ValueError("low must be at most high")
            return self

    with pytest.raises(ConfigError) as caught:
        load_config(None, models={"bounds": Model(Bounds)}, overrides=["models.bounds.low=5"])
    assert caught.value.fact == "--set models.bounds.low=5: models.bounds: low must be at most high"
