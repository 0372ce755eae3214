"""Importing mlflow: no telemetry unless the user asked for it, and none of its chatter that says nothing."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What these say at these levels is either news to nobody ("Updating database tables") or is raised as well.
NOISY_LOGGERS = {
    "mlflow.store.db.utils": logging.CRITICAL,
    "mlflow.pyfunc": logging.WARNING,
    "mlflow.tracking._tracking_service.client": logging.WARNING,
    "alembic.runtime.migration": logging.WARNING,
}
STAGES_WARNING = r".*(transition_model_version_stage|get_latest_versions).* is deprecated"


def import_mlflow() -> Any:
    """The mlflow package (2 to 6 s the first time), silent and without telemetry.

    A user who sets MLFLOW_DISABLE_TELEMETRY or DO_NOT_TRACK, either way, has the last word.
    """
    if "MLFLOW_DISABLE_TELEMETRY" not in os.environ and "DO_NOT_TRACK" not in os.environ:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # Its bars would stand between our own lines.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name, level in NOISY_LOGGERS.items():
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)
    import mlflow

    return mlflow


@contextmanager
def ignore_stage_warnings() -> Iterator[None]:
    """Call the deprecated stage functions, which are kept beside the aliases on purpose, without the warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=STAGES_WARNING, category=FutureWarning)
        yield
