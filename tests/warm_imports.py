"""What the forked processes of `tests.warm_start` share.

dagshub is left to each command: it reads its host when it is imported.
"""

# ruff: noqa: E402, F401
import gc
import sqlite3

import alembic.autogenerate
import alembic.command
import matplotlib.backends.backend_agg
import matplotlib.figure
import matplotlib.font_manager
import pandas
import pyarrow.parquet
import pydantic_settings
import pygments.lexers
import scipy.stats
import sklearn.ensemble
import sklearn.linear_model
import skops.io
import sqlalchemy.dialects.sqlite
import sqlalchemy.orm
import threadpoolctl
import xgboost

import cryptoml.cli.app
from cryptoml.tracking.quiet import import_mlflow

import_mlflow()

import mlflow.pyfunc
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store

# A collection in a forked process would write to every shared page.
gc.freeze()
