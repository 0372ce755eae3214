"""Errors for unsupported store addresses, with a suggestion."""

from __future__ import annotations

import re

from cryptoml.errors import ConfigError
from cryptoml.tracking.store.errors import masked

FORMS = "sqlite:////folder/mlflow.db, an http(s) address, or postgresql://USER:PASSWORD@HOST/DATABASE"


def unsupported(uri: str) -> ConfigError:
    """Return the error for an unsupported address; its hint has the most similar supported address."""
    if re.fullmatch(r"[\w.-]+:\d+(/.*)?", uri):
        hint = f"for a server: MLFLOW_TRACKING_URI=http://{uri}"
    elif re.fullmatch(r"[^:]*\.(db|sqlite3?)", uri):
        hint = f"for a file: MLFLOW_TRACKING_URI=sqlite:///{uri}"
    elif uri.partition(":")[0] in ("databricks", "databricks-uc", "uc"):
        hint = f"Databricks is not supported; use {FORMS} in MLFLOW_TRACKING_URI"
    elif uri[:1] in ("'", '"'):
        quotes = uri[0]
        hint = f"remove the quotes, which are part of the value: MLFLOW_TRACKING_URI={uri.strip(quotes)}"
    elif re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/.*)?", uri):
        hint = f"for a server: MLFLOW_TRACKING_URI=https://{uri}"
    elif uri.startswith("file:") or re.fullmatch(r"[^:]*", uri):
        hint = "MLflow 3 does not store runs in folders; unset MLFLOW_TRACKING_URI to use mlflow.db in the project"
    else:
        hint = f"use {FORMS} in MLFLOW_TRACKING_URI"
    return ConfigError(f"{masked(uri)}: this kind of store is not supported.", hint=hint)
