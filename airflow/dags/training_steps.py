"""The four tasks as BashOperators: constant commands, values in the environment, reliable termination."""

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

# The kernel stops the command when Airflow's process ends. `timeout` stops it at its limit or on Airflow's SIGTERM, and
# kills it after the grace period. Airflow itself would send one SIGTERM and start the next try.
GUARD = f'exec setpriv --pdeathsig TERM timeout --kill-after={GRACE_S} "$LIMIT" bash -euo pipefail -c'
PRELUDE = '. "$DAGS/training_prelude.bash"'

EXTRACT = """
symbols=()
while read -r symbol; do symbols+=(--symbol "$symbol"); done <<< "$SYMBOLS"
receive data/raw/*.dvc
found=$(cryptoml extract-data "${symbols[@]}" --interval "$INTERVAL" -o data/raw "${config[@]}")
mapfile -t files <<< "$found"
publish "${files[@]}"
(IFS=,; echo "${files[*]}")
"""

TRANSFORM = """
receive "$RAW.dvc"
needs "$RAW" "extract_data returned no candles"
data=$(cryptoml transform-data "$RAW" -o data/processed "${config[@]}")
needs "$data" "transform-data printed no path"
publish "$data"
echo "$data"
"""

VERSION = """
receive "$RAW.dvc" "$DATA.dvc"
needs "$RAW" "extract_data returned no candles"
needs "$DATA" "transform_data returned no data set"
turn
cryptoml push-data "$RAW" "$DATA" "${message[@]}" --json
"""

# Deliver pending runs of an interrupted process first. If the store is unavailable, train reports it.
TRAIN = """
receive
! apart || cryptoml pull-data --force "$DATA" --rev "${VERSION#*@}" >&2
needs "$DATA" "transform_data returned no data set"
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
    """Build one task. env: values for the script, templates allowed; more: further arguments of the operator."""
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
            # Without the connection, the environment of the worker and .env apply.
            **{name: _of_connection(part) for name, part in DAGSHUB.items()},
            **env,
        },
        append_env=True,
        cwd=folder,
        retries=2,
        retry_delay=timedelta(seconds=options.retry_seconds),
        retry_policy=ByExitCode(),
        # In case the guard itself hangs.
        execution_timeout=timedelta(seconds=limit_s + 2 * GRACE_S),
        pre_execute=_end_with_worker,
        on_failure_callback=alert,
        on_retry_callback=alert,
        **more,
    )


def _end_with_worker(context: dict[str, Any]) -> None:
    """Let the kernel stop this process, and with it the command, if the worker that started it is killed.

    Otherwise it would continue until its next message to the worker.
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
    """Extract the version of the data set from the output of `push-data --json`."""
    files = {Path(one["path"]).parts[1]: one["version"] for one in _result(line)["files"]}
    return files["processed"]


def extract_data(options: Options) -> BashOperator:
    """Fetch candles; returns the list of raw files."""
    return step(
        "extract_data",
        EXTRACT,
        options,
        env={"SYMBOLS": "{{ params.symbols | join('\n') }}", "INTERVAL": "{{ params.interval }}"},
        output_processor=lambda line: line.split(","),
    )


def transform_data(options: Options, raw: Any) -> BashOperator:
    """Validate the candles and build the data set; returns its path."""
    return step("transform_data", TRANSFORM, options, env={"RAW": raw})


def version_data(options: Options, raw: Any, data: Any) -> BashOperator:
    """Version candles and data set with DVC; returns the version of the data set."""
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
    """Train, track and register; returns the decoded result of `train`."""
    return step(
        "train_model",
        TRAIN,
        options,
        env={"DATA": data, "VERSION": version, "MODELS": "{{ params.models | join(',') }}"},
        limit_s=options.train_limit_seconds,
        output_processor=_result,
        **more,
    )
