"""The sources of settings and the values derived from them."""

from pathlib import Path

import pytest

from cryptoml.errors import ConfigError
from cryptoml.settings import known_variables, load_settings
from cryptoml.system.project_folder import find_project

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_default_store_is_sqlite_in_the_project(tmp_path):
    (tmp_path / "p" / ".git").mkdir(parents=True)
    (tmp_path / "p" / "deep" / "er").mkdir(parents=True)
    settings = load_settings(cwd=tmp_path / "p" / "deep" / "er")
    assert settings.project_dir == tmp_path / "p"
    assert settings.mlflow_uri() == f"sqlite:///{tmp_path / 'p' / 'mlflow.db'}"
    assert settings.mlflow_credentials() is None


def test_three_settings_select_dagshub(tmp_path):
    (tmp_path / ".env").write_text("DAGSHUB_USERNAME=ada\nDAGSHUB_TOKEN=t0ken\nDAGSHUB_REPO=coins\n")
    settings = load_settings(cwd=tmp_path)
    assert settings.mlflow_uri() == "https://dagshub.com/ada/coins.mlflow"
    assert settings.mlflow_credentials() == ("ada", "t0ken")
    assert "t0ken" not in repr(settings)


def test_the_dagshub_token_is_only_sent_to_dagshub(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("DAGSHUB_USERNAME=ada\nDAGSHUB_TOKEN=t0ken\nDAGSHUB_REPO=coins\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    assert load_settings(cwd=tmp_path).mlflow_credentials() is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://dagshub.com.example.org/ada/coins.mlflow")
    assert load_settings(cwd=tmp_path).mlflow_credentials() is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://dagshub.com/ada/other.mlflow")
    assert load_settings(cwd=tmp_path).mlflow_credentials() == ("ada", "t0ken")


def test_the_environment_overrides_dotenv(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("MLFLOW_EXPERIMENT_NAME=file\nCRYPTOML_AUTHOR=file\n")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shell")
    settings = load_settings(cwd=tmp_path)
    assert (settings.experiment_name, settings.author) == ("shell", "file")


def test_a_mistyped_setting_in_dotenv_is_reported(tmp_path):
    (tmp_path / ".env").write_text("CRYPTOML_AUTOR=x\nOTHER=1\n")
    with pytest.raises(ConfigError, match=r"CRYPTOML_AUTOR.*did you mean CRYPTOML_AUTHOR"):
        load_settings(cwd=tmp_path)


def test_only_a_similar_setting_is_suggested(tmp_path):
    (tmp_path / ".env").write_text("CRYPTOML_NONSENSE=x\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(cwd=tmp_path)
    assert caught.value.hint == "see .env.example"


def test_a_wrong_setting_is_reported_without_its_value(tmp_path, monkeypatch):
    monkeypatch.setenv("CRYPTOML_WORKERS", "s3cret")
    with pytest.raises(ConfigError, match="CRYPTOML_WORKERS") as caught:
        load_settings(cwd=tmp_path)
    assert "s3cret" not in str(caught.value)


def test_a_relative_sqlite_path_is_relative_to_the_project(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs/x.db")
    assert load_settings(cwd=tmp_path).mlflow_uri() == f"sqlite:///{tmp_path}/runs/x.db"


def test_the_project_folder_may_be_configured(tmp_path):
    assert find_project(environ={"CRYPTOML_PROJECT_DIR": str(tmp_path)}) == tmp_path
    with pytest.raises(ConfigError, match="is not a folder"):
        find_project(environ={"CRYPTOML_PROJECT_DIR": str(tmp_path / "no")})


@pytest.mark.parametrize("url", ["https://mirror.example", "http://127.0.0.1:8899", "http://[::1]:80/"])
def test_the_exchange_url_may_be_changed(tmp_path, monkeypatch, url):
    monkeypatch.setenv("CRYPTOML_EXCHANGE_URL", url)
    assert load_settings(cwd=tmp_path).exchange_url == url


@pytest.mark.parametrize(
    "url",
    ["http://mirror.example", "ftp://127.0.0.1", "https://user:pw@mirror.example", "https://x.example/api", "x", "//"],
)
def test_an_insecure_exchange_url_is_refused(tmp_path, monkeypatch, url):
    monkeypatch.setenv("CRYPTOML_EXCHANGE_URL", url)
    with pytest.raises(ConfigError, match="CRYPTOML_EXCHANGE_URL"):
        load_settings(cwd=tmp_path)


def test_env_example_lists_exactly_the_settings():
    lines = (REPOSITORY / ".env.example").read_text().splitlines()
    listed = [line.removeprefix("#").partition("=")[0] for line in lines if line.startswith("#") and "=" in line]
    assert listed == list(known_variables())
    for meaning in known_variables().values():
        assert any(meaning == line.removeprefix("# ") for line in lines), meaning
