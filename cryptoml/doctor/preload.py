"""Imports the libraries of the checks before their time limits start: on a busy machine imports may exceed them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module

from cryptoml.doctor.checks_dagshub import uses_dagshub
from cryptoml.doctor.checks_mlflow import is_remote
from cryptoml.doctor.context import Context

HTTP = ("httpx", "dagshub.auth.token_auth", "dagshub.common.helpers")
SERVER = ("requests", "mlflow.tracking.client")
DATABASE = ("alembic.script", "mlflow.tracking.client", "mlflow.store.tracking.sqlalchemy_store")
BUCKET = ("boto3",)
DATA = ("pandas", "pyarrow.csv", "pyarrow.parquet", "cryptoml.data.candles", "cryptoml.data.processed")


def preload(context: Context, checks: Collection[str]) -> None:
    """Import the libraries of the named checks in this project; import errors are left to the checks to report."""
    from cryptoml.tracking.store.quiet import import_mlflow

    for name in dict.fromkeys(_libraries(context, checks)):
        try:
            if name.startswith("mlflow."):
                import_mlflow()
            import_module(name)
        except Exception:  # noqa: BLE001 - a broken library may raise any exception; its check reports it
            continue


def _libraries(context: Context, checks: Collection[str]) -> Iterator[str]:
    if "mlflow" in checks and context.settings is not None:
        yield from SERVER if context.settings.mlflow_uri().startswith("http") else DATABASE
    if "mlflow-artifacts" in checks and context.settings is not None:
        yield from BUCKET if (context.settings.artifact_root or "").startswith("s3:") else ()
    if "data" in checks:
        yield from DATA
    remote = context.dvc_remote
    if (
        ("dagshub-token" in checks and uses_dagshub(context))
        or ("mlflow-server" in checks and is_remote(context))
        or ("dvc-access" in checks and remote is not None and remote.is_http)
    ):
        yield from HTTP
