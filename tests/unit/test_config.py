"""The layers of the config, and the errors it tells all at once."""

from pathlib import Path

import pytest

from cryptoml.config.load import load_config
from cryptoml.config.schema import ParamSpec
from cryptoml.errors import ConfigError

PARAMS = {
    "rf": {
        "n_estimators": ParamSpec(200, "trees", kind=int, low=1, high=5000),
        "max_features": ParamSpec(0.3, "share", low=0.01, high=1.0),
        "implementation": ParamSpec("auto", "which code", kind=str, choices=("auto", "sklearn")),
        "max_depth": ParamSpec(None, "depth", kind=int, low=1, optional=True),
    },
    "ridge": {"alpha": ParamSpec(1.0, "penalty", low=0.0)},
}


def load(tmp_path: Path, text: str = "", **more):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return load_config(path, model_params=PARAMS, **more)


def test_defaults_are_complete(tmp_path):
    config = load(tmp_path).config
    assert config.models == {
        "rf": {"n_estimators": 200, "max_features": 0.3, "implementation": "auto", "max_depth": None},
        "ridge": {"alpha": 1.0},
    }
    assert config.split.train_test_split_ratio == 0.8


def test_option_beats_environment_beats_dotenv_beats_file(tmp_path):
    text = "models: {rf: {n_estimators: 1, max_depth: 3}}\nsplit: {cross_validation_folds: 2}\n"
    environ = {"CRYPTOML_MODELS__RF__N_ESTIMATORS": "3", "CRYPTOML_SPLIT__CROSS_VALIDATION_FOLDS": "4"}
    dotenv = {"CRYPTOML_MODELS__RF__N_ESTIMATORS": "2", "CRYPTOML_MODELS__RIDGE__ALPHA": "1e-3"}
    loaded = load(tmp_path, text, environ=environ, dotenv=dotenv, overrides=["models.rf.n_estimators=5"])
    assert loaded.config.models["rf"]["n_estimators"] == 5
    assert loaded.config.models["rf"]["max_depth"] == 3
    assert loaded.config.models["ridge"]["alpha"] == 0.001
    assert loaded.config.split.cross_validation_folds == 4
    assert loaded.origins["split.cross_validation_folds"] == ("environment, CRYPTOML_SPLIT__CROSS_VALIDATION_FOLDS")


def test_all_errors_are_told_at_once_with_key_and_place(tmp_path):
    text = "split: {cross_validation_foldz: 3}\nmodels: {rf: {n_estimator: 3, max_features: 7}, rff: {}}\n"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, overrides=["training.random_seed=abc", "nonsense"])
    told = str(caught.value)
    assert "c.yaml: split.cross_validation_foldz" in told
    assert "did you mean cross_validation_folds?" in told
    assert "models.rf.n_estimator: there is no such parameter; did you mean n_estimators?" in told
    assert "models.rf.max_features: must be at most 1.0, not 7" in told
    assert "--set training.random_seed=abc" in told
    assert "--set nonsense: the form is" in told
    assert caught.value.exit_code == 3


def test_unknown_model_names_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"models.ridg: there is no such model; did you mean ridge"):
        load(tmp_path, "models: {ridg: {alpha: 1}}")


@pytest.mark.parametrize(
    ("given", "expected"), [("rf", ("rf",)), ("rf,gbm", ("rf", "gbm")), ("[rf, gbm]", ("rf", "gbm"))]
)
def test_a_list_may_be_given_as_text(tmp_path, given, expected):
    assert load(tmp_path, overrides=[f"training.models={given}"]).config.training.models == expected


def test_hash_depends_on_values_and_not_on_their_place(tmp_path):
    by_file = load(tmp_path, "split: {cross_validation_folds: 3}").hash()
    assert by_file == load(tmp_path, overrides=["split.cross_validation_folds=3"]).hash()
    assert by_file != load(tmp_path).hash()


@pytest.mark.parametrize("text", ["[1, 2]", "a: [1", "3"])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        load(tmp_path, text)


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match="there is no such config file"):
        load_config(Path("nowhere.yaml"), model_params=PARAMS)


@pytest.mark.parametrize(
    ("spec", "value", "fault"),
    [
        (ParamSpec(1, "", kind=int), True, "whole number"),
        (ParamSpec(1, "", kind=int), 1.5, "whole number"),
        (ParamSpec(1.0, ""), "x", "a number"),
        (ParamSpec(1.0, "", low=0), -1, "at least 0"),
        (ParamSpec(1.0, ""), None, "needed"),
        (ParamSpec("a", "", kind=str, choices=("a", "b")), "c", "one of a, b"),
    ],
)
def test_a_parameter_out_of_range_is_told(spec, value, fault):
    assert fault in str(spec.problem(value))
