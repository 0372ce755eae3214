"""Reading `.env` in the encodings of common editors, and expanding variables in addresses and folders."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from cryptoml.errors import ConfigError
from cryptoml.remotes.env_file import write_variables
from cryptoml.settings import load_settings
from cryptoml.system.dotenv_file import expand_variables

TEXT = "CRYPTOML_AUTHOR=Zoë\nMLFLOW_EXPERIMENT_NAME=coins\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.replace("\n", "\r\n").encode("utf-16"),
    ],
)
def test_a_file_with_a_byte_order_mark_is_read_and_written_back_as_utf_8(tmp_path: Path, data: bytes) -> None:
    (tmp_path / ".env").write_bytes(data)
    settings = load_settings(cwd=tmp_path)
    assert (settings.author, settings.experiment_name) == ("Zoë", "coins")
    write_variables(tmp_path / ".env", {"MLFLOW_EXPERIMENT_NAME": "more"})
    assert (tmp_path / ".env").read_bytes().startswith(b"CRYPTOML_AUTHOR=Zo\xc3\xab")
    assert load_settings(cwd=tmp_path).experiment_name == "more"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (TEXT.encode("utf-16-le"), "without a byte-order mark"),
        (TEXT.encode("latin-1"), "line 1: not UTF-8 text"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")[:-1], "not UTF-16 text"),
    ],
)
def test_an_unknown_encoding_is_rejected(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / ".env").write_bytes(data)
    with pytest.raises(ConfigError, match=words) as caught:
        load_settings(cwd=tmp_path)
    assert "UTF-8" in caught.value.hint
    assert "coins" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("sqlite:///~/runs/mlflow.db", "sqlite:////home/ada/runs/mlflow.db"),
        ("sqlite:///$STORE/mlflow.db", "sqlite:////data/store/mlflow.db"),
        ("~/artifacts", "/home/ada/artifacts"),
        ("s3://${BUCKET}/x", "s3://models/x"),
        ("s3://models/~x", "s3://models/~x"),
        ("postgresql://u:pa$BUCKET@h/d", "postgresql://u:pa$BUCKET@h/d"),
        ("postgresql://u:${BUCKET}@$BUCKET/d", "postgresql://u:models@models/d"),
        ("https://mlflow.example.org", "https://mlflow.example.org"),
        ("a$", "a$"),
    ],
)
def test_variables_and_the_home_folder_are_expanded(text: str, result: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert expand_variables(text, {"BUCKET": "models", "STORE": "/data/store"}, name="X") == result


def test_settings_expand_variables_of_dotenv_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "TEAM=quants\nCRYPTOML_ARTIFACT_ROOT=s3://models/$TEAM/${USER}\nMLFLOW_TRACKING_URI=$STORE\n"
    )
    monkeypatch.setenv("USER", "ada")
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("STORE", "postgresql://u:p@h/d")
    assert load_settings(cwd=tmp_path).mlflow_uri() == "postgresql://u:p@h/d"
    monkeypatch.setenv("STORE", "http://127.0.0.1:5000/#/experiments/1")
    settings = load_settings(cwd=tmp_path)
    assert settings.artifact_root == "s3://models/quants/ada"
    assert settings.mlflow_uri() == "http://127.0.0.1:5000"
    monkeypatch.delenv("STORE")
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI: the variable STORE"):
        load_settings(cwd=tmp_path)
