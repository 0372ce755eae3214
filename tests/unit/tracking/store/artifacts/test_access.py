"""Where a run's artifacts may be read from."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from cryptoml.errors import ConfigError
from cryptoml.tracking.store.artifacts.access import check_run_location, root_uri


@pytest.mark.parametrize(
    ("store_uri", "location", "refused"),
    [
        ("https://mlflow.example", "file:///root/.ssh", True),
        ("https://mlflow.example", "/root/.ssh", True),
        ("https://mlflow.example", "file:///shared/runs/1/artifacts", False),
        ("http://127.0.0.1:5000", "/home/me/mlruns/1/artifacts", False),
        ("https://mlflow.example", "mlflow-artifacts:/1/artifacts", False),
        ("https://mlflow.example", "s3://bucket/1/artifacts", False),
    ],
)
def test_a_server_elsewhere_names_no_folder_of_this_machine(store_uri: str, location: str, refused: bool) -> None:
    expected = pytest.raises(ConfigError, match="does not proxy artifacts") if refused else nullcontext()
    with expected:
        check_run_location(location, store_uri=store_uri, artifacts_root="file:///shared")


def test_an_address_of_a_bucket_with_one_slash_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a slash is missing") as caught:
        root_uri("s3:/models/team", base=tmp_path)
    assert caught.value.hint == "CRYPTOML_ARTIFACT_ROOT=s3://models/team"
    assert root_uri("s3://models/team/", base=tmp_path) == "s3://models/team"
    assert root_uri("c:/models", base=tmp_path) == (tmp_path / "c:/models").as_uri()
