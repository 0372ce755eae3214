"""What a deployment chooses: the Airflow variable `cryptoml` (JSON), with a default for each key."""

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
    """schedule: hourly, daily or none. handover: path (one folder for all tasks) or version (DVC and git)."""

    schedule: str = "daily"
    handover: str = "path"
    retry_seconds: int = 300
    step_limit_seconds: int = 3600
    train_limit_seconds: int = 6 * 3600
    pool: str = "cryptoml_training"


def load_options() -> Options:
    """The variable over the defaults; a ValueError here is the import error that Airflow shows for the DAG."""
    given = Variable.get(VARIABLE, default={}, deserialize_json=True)
    kinds = {one.name: type(one.default) for one in fields(Options)}
    if not isinstance(given, dict) or given.keys() - kinds.keys():
        raise ValueError(f"The variable {VARIABLE} is a JSON object with the keys {', '.join(kinds)}; not {given!r}.")
    for key, value in given.items():
        if type(value) is not kinds[key]:
            raise ValueError(f"The variable {VARIABLE}: {key} is of type {kinds[key].__name__}, not {value!r}.")
        if key.endswith("_seconds") and value < 1:
            raise ValueError(f"The variable {VARIABLE}: {key} must be at least 1, not {value}.")
    options = Options(**given)
    if options.schedule not in SCHEDULES:
        raise ValueError(f"The variable {VARIABLE}: schedule is {', '.join(SCHEDULES)}; not {options.schedule!r}.")
    if options.handover not in HANDOVERS:
        raise ValueError(f"The variable {VARIABLE}: handover is {', '.join(HANDOVERS)}; not {options.handover!r}.")
    return options


def project_folder() -> Path:
    """The project of the machine that asks: CRYPTOML_PROJECT_DIR, else the checkout in which this file lies."""
    named = os.environ.get("CRYPTOML_PROJECT_DIR")
    return Path(named).expanduser() if named else Path(__file__).resolve().parents[2]
