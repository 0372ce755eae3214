"""The four steps as BashOperators: constant commands, values through the environment, an end that really ends."""

from __future__ import annotations

import ctypes
import json
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator

from training_alerts import alert
from training_options import Options, project_folder
from training_retries import ByExitCode

GRACE_S = 30

# The kernel stops the step when Airflow's process dies; `timeout` stops it when its time is up, or when Airflow says
# so, and kills what is left after the grace. Airflow itself would send one SIGTERM and start the next try.
GUARD = f'exec setpriv --pdeathsig TERM timeout --kill-after={GRACE_S} "$LIMIT" bash -euo pipefail -c'
PRELUDE = '. "$DAGS/training_prelude.bash"'

EXTRACT = """
symbols=()
while read -r symbol; do symbols+=(--symbol "$symbol"); done <<< "$SYMBOLS"
receive data/raw/*.dvc
found=$(cryptoml extract-data "${symbols[@]}" --interval "$INTERVAL" -o data/raw "${config[@]}")
mapfile -t files <<< "$found"
hand_on "${files[@]}"
(IFS=,; echo "${files[*]}")
"""

TRANSFORM = """
receive "$RAW.dvc"
needs "$RAW" "extract_data handed on no candles"
data=$(cryptoml transform-data "$RAW" -o data/processed "${config[@]}")
needs "$data" "transform-data printed no path"
hand_on "$data"
echo "$data"
"""

VERSION = """
receive "$RAW.dvc" "$DATA.dvc"
needs "$RAW" "extract_data handed on no candles"
needs "$DATA" "transform_data handed on no data set"
turn
cryptoml push-data "$RAW" "$DATA" "${message[@]}" --json
"""

# First what a process that died has left in the journal; a store that is away is told by train.
TRAIN = """
receive
! apart || cryptoml pull-data --force "$DATA" --rev "${VERSION#*@}" >&2
needs "$DATA" "transform_data handed on no data set"
alone "${DATA##*/}"
cryptoml sync >&2 || true
cryptoml train --data "$DATA" --models "$MODELS" "${config[@]}" --json
"""

DAGSHUB = {
    "CONNECTION_DAGSHUB_CLIENT_HOST": "host",
    "CONNECTION_DAGSHUB_USERNAME": "login",
    "CONNECTION_DAGSHUB_TOKEN": "password",
    "CONNECTION_DAGSHUB_REPO": "schema",
}


def step(task_id: str, script: str, options: Options, *, env: dict[str, Any], **more: Any) -> BashOperator:
    """One step. env: values of the script, may be templates; more: whatever else the operator takes."""
    folder = str(project_folder())
    limit_s = more.pop("limit_s", options.step_limit_seconds)
    return BashOperator(
        task_id=task_id,
        bash_command=f"{GUARD} '{PRELUDE}{script}' </dev/null",
        env={
            "PYTHONUNBUFFERED": "1",
            "CRYPTOML_PROJECT_DIR": folder,
            "DAGS": str(Path(__file__).parent),
            "LIMIT": f"{limit_s}s",
            "HANDOVER": options.handover,
            "RUN_ID": "{{ run_id }}",
            "CONFIG": "{{ params.config or '' }}",
            # An absent connection leaves the worker's own environment and .env in charge.
            **{name: _of_connection(part) for name, part in DAGSHUB.items()},
            **env,
        },
        append_env=True,
        cwd=folder,
        retries=2,
        retry_delay=timedelta(seconds=options.retry_seconds),
        retry_policy=ByExitCode(),
        # Only for the case that the guard itself is stuck.
        execution_timeout=timedelta(seconds=limit_s + 2 * GRACE_S),
        pre_execute=_end_with_worker,
        on_failure_callback=alert,
        on_retry_callback=alert,
        **more,
    )


def _end_with_worker(context: dict[str, Any]) -> None:
    """Let the kernel stop this process, and with it the step, when the worker that started it is killed.

    It would go on unnoticed otherwise, until it next has something to say to the worker.
    """
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _of_connection(part: str) -> str:
    found = "{% set found = conn.get('cryptoml_dagshub') %}"
    return f"{found}{{{{ (found.{part} or '') if found else '' }}}}"


def _result(line: str) -> dict[str, Any]:
    """The result in the line that a command prints with --json; see docs/json.md."""
    result: dict[str, Any] = json.loads(line)["result"]
    return result


def _version(line: str) -> str:
    """The data set's version, of what `push-data --json` printed."""
    files = {Path(one["path"]).parts[1]: one["version"] for one in _result(line)["files"]}
    return files["processed"]


def extract_data(options: Options) -> BashOperator:
    """Fetch candles; hands on the raw files, as a list."""
    return step(
        "extract_data",
        EXTRACT,
        options,
        env={"SYMBOLS": "{{ params.symbols | join('\n') }}", "INTERVAL": "{{ params.interval }}"},
        output_processor=lambda line: line.split(","),
    )


def transform_data(options: Options, raw: Any) -> BashOperator:
    """Check the candles and build the data set; hands on its path."""
    return step("transform_data", TRANSFORM, options, env={"RAW": raw})


def version_data(options: Options, raw: Any, data: Any) -> BashOperator:
    """Version candles and data set with DVC; hands on the data set's version."""
    # One at a time: DVC and git lock the whole project.
    return step(
        "version_data",
        VERSION,
        options,
        env={"RAW": raw, "DATA": data},
        output_processor=_version,
        max_active_tis_per_dag=1,
    )


def train_model(options: Options, data: Any, version: Any, **more: Any) -> BashOperator:
    """Train, track and register; hands on the result of `train`, decoded."""
    return step(
        "train_model",
        TRAIN,
        options,
        env={"DATA": data, "VERSION": version, "MODELS": "{{ params.models | join(',') }}"},
        limit_s=options.train_limit_seconds,
        output_processor=_result,
        **more,
    )
