"""Deployment options: the Airflow variable `cryptoml` (JSON), with a default for each key."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from airflow.sdk import Variable

VARIABLE = "cryptoml"
SCHEDULES = {"hourly": "@hourly", "daily": "@daily", "none": None}
HANDOVERS = ("path", "version")


@dataclass(frozen=True)
class Options:
    """schedule: hourly, daily or none. handover: path (all tasks share a folder) or version (through DVC and git)."""

    schedule: str = "daily"
    handover: str = "path"
    retry_seconds: int = 300
    step_limit_seconds: int = 3600
    train_limit_seconds: int = 6 * 3600
    pool: str = "cryptoml_training"


def load_options() -> Options:
    """Read the variable over the defaults. Airflow shows a ValueError as an import error of the DAG."""
    given = Variable.get(VARIABLE, default={}, deserialize_json=True)
    kinds = {one.name: type(one.default) for one in fields(Options)}
    if not isinstance(given, dict) or given.keys() - kinds.keys():
        raise ValueError(
            f"The variable {VARIABLE} must be a JSON object with the keys {', '.join(kinds)}, not {given!r}."
        )
    for key, value in given.items():
        if type(value) is not kinds[key]:
            raise ValueError(f"The variable {VARIABLE}: {key} must be of type {kinds[key].__name__}, not {value!r}.")
        if key.endswith("_seconds") and value < 1:
            raise ValueError(f"The variable {VARIABLE}: {key} must be at least 1, not {value}.")
    options = Options(**given)
    if options.schedule not in SCHEDULES:
        raise ValueError(
            f"The variable {VARIABLE}: schedule must be one of {', '.join(SCHEDULES)}, not {options.schedule!r}."
        )
    if options.handover not in HANDOVERS:
        raise ValueError(
            f"The variable {VARIABLE}: handover must be one of {', '.join(HANDOVERS)}, not {options.handover!r}."
        )
    return options


def project_folder() -> Path:
    """Locate the project on this machine: CRYPTOML_PROJECT_DIR, else the checkout that contains this file."""
    named = os.environ.get("CRYPTOML_PROJECT_DIR")
    return Path(named).expanduser() if named else Path(__file__).resolve().parents[2]
