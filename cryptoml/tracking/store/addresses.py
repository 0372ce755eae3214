"""Store addresses that are not supported as they are, and what was probably meant."""

from __future__ import annotations

import re

from cryptoml.errors import ConfigError
from cryptoml.tracking.store.errors import masked

FORMS = "sqlite:////folder/mlflow.db, an http(s) address, or postgresql://USER:PASSWORD@HOST/DATABASE"


def unsupported(uri: str) -> ConfigError:
    """The error for an address of no supported kind; its hint names the nearest supported one."""
    if re.fullmatch(r"[\w.-]+:\d+(/.*)?", uri):
        meant = f"for a server: MLFLOW_TRACKING_URI=http://{uri}"
    elif re.fullmatch(r"[^:]*\.(db|sqlite3?)", uri):
        meant = f"for a file: MLFLOW_TRACKING_URI=sqlite:///{uri}"
    elif uri.partition(":")[0] in ("databricks", "databricks-uc", "uc"):
        meant = f"Databricks is not supported; use {FORMS} in MLFLOW_TRACKING_URI"
    elif uri[:1] in ("'", '"'):
        quotes = uri[0]
        meant = f"remove the quotes, which are part of the value: MLFLOW_TRACKING_URI={uri.strip(quotes)}"
    elif re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/.*)?", uri):
        meant = f"for a server: MLFLOW_TRACKING_URI=https://{uri}"
    elif uri.startswith("file:") or re.fullmatch(r"[^:]*", uri):
        meant = "MLflow 3 keeps no runs in folders; leave MLFLOW_TRACKING_URI unset for mlflow.db in the project"
    else:
        meant = f"use {FORMS} in MLFLOW_TRACKING_URI"
    return ConfigError(f"{masked(uri)}: this kind of store is not supported.", hint=meant)
