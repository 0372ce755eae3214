"""Import mlflow without telemetry, unless the user enabled it, and without its needless log messages."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Messages below these levels are either irrelevant ("Updating database tables") or also raised as exceptions.
NOISY_LOGGERS = {
    "mlflow.store.db.utils": logging.CRITICAL,
    "mlflow.pyfunc": logging.WARNING,
    "mlflow.tracking._tracking_service.client": logging.WARNING,
    "alembic.runtime.migration": logging.WARNING,
}
STAGES_WARNING = r".*(transition_model_version_stage|get_latest_versions).* is deprecated"


def import_mlflow() -> Any:
    """Import mlflow (2 to 6 s the first time) without log noise and telemetry.

    MLFLOW_DISABLE_TELEMETRY and DO_NOT_TRACK take precedence, whatever their value.
    """
    if "MLFLOW_DISABLE_TELEMETRY" not in os.environ and "DO_NOT_TRACK" not in os.environ:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # mlflow's progress bars would mix with our output.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name, level in NOISY_LOGGERS.items():
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)
    import mlflow

    return mlflow


@contextmanager
def ignore_stage_warnings() -> Iterator[None]:
    """Ignore the deprecation warning of the stage functions, which are used in addition to aliases on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=STAGES_WARNING, category=FutureWarning)
        yield
