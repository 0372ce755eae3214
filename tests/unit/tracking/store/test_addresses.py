"""Suggestions for unsupported store addresses."""

from __future__ import annotations

import pytest

from cryptoml.tracking.store.addresses import unsupported


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("localhost:5000", "MLFLOW_TRACKING_URI=http://localhost:5000"),
        ("mlflow.example.org", "MLFLOW_TRACKING_URI=https://mlflow.example.org"),
        ("mlflow.example.org/team", "MLFLOW_TRACKING_URI=https://mlflow.example.org/team"),
        ("runs/mlflow.db", "MLFLOW_TRACKING_URI=sqlite:///runs/mlflow.db"),
        ("./mlruns", "unset MLFLOW_TRACKING_URI"),
        ("file:///srv/mlruns", "unset MLFLOW_TRACKING_URI"),
        ('"sqlite:///mlflow.db"', "MLFLOW_TRACKING_URI=sqlite:///mlflow.db"),
        ("databricks", "Databricks is not supported; use sqlite:"),
        ("databricks://profile", "Databricks is not supported; use sqlite:"),
        ("ftp://example.org/runs", "use sqlite:////folder/mlflow.db, an http(s) address"),
    ],
)
def test_the_hint_has_a_supported_address(address: str, hint: str) -> None:
    error = unsupported(address)
    assert address in error.fact
    assert hint in error.hint
