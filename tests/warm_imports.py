"""Imports what the processes that `tests.warm_start` forks share.

Left to each command is what reads the environment when it is imported: dagshub its host, pygit2 (with dvc) the home.
"""

from __future__ import annotations

import gc
from importlib import import_module

from cryptoml.tracking.store.quiet import import_mlflow

LIBRARIES = (
    "alembic.autogenerate",
    "alembic.command",
    "cryptoml.cli.app",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "matplotlib.font_manager",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "networkx",
    "pandas",
    "pyarrow.parquet",
    "pydantic_settings",
    "pygments.lexers",
    "scipy.stats",
    "skops.io",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
    "threadpoolctl",
    "xgboost",
)

import_mlflow()
for library in LIBRARIES:
    import_module(library)
# A collection in a forked process would write to every shared page.
gc.freeze()
