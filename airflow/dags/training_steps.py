"""The four steps as BashOperators: constant commands, values through the environment, an end that really ends."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from training_alerts import alert
from training_options import Options, project_folder
from training_retries import ByExitCode

GRACE_S = 30

# The kernel stops the step when Airflow's process dies; `timeout` stops it when its time is up, or when Airflow says
# so, and kills what is left after the grace. Airflow itself would send one SIGTERM and start the next try.
GUARD = f'exec setpriv --pdeathsig TERM timeout --kill-after={GRACE_S} "$LIMIT" bash -euo pipefail -c'

PREPARE = """
# Outlive the command that runs, so that the guard can still kill it when it does not stop.
trap 'exit 143' TERM
fail() { echo "$2" >&2; exit "$1"; }
for name in DAGSHUB_CLIENT_HOST DAGSHUB_USERNAME DAGSHUB_TOKEN DAGSHUB_REPO; do
  given="CONNECTION_$name"
  [ -z "${!given}" ] || export "$name=${!given}"
  unset "$given"
done
config=()
[ -z "$CONFIG" ] || config=(--config "$CONFIG")
in_git() { git rev-parse --is-inside-work-tree >/dev/null 2>&1; }
# Where each task lands on a machine of its own, git carries the pins and DVC the files.
apart() { [ "$HANDOVER" = version ]; }
receive() {
  apart || return 0
  git pull --quiet --ff-only >&2 || fail 5 "git pull did not bring the newest pins."
  for pin in "$@"; do
    [ ! -f "$pin" ] || cryptoml pull-data "${pin%.dvc}" >&2
  done
}
hand_on() {
  apart || return 0
  cryptoml push-data "$@" -m "Data of $RUN_ID" >&2
  git push --quiet >&2 || fail 5 "git push did not hand the pins on."
}
needs() { [ -n "$1" ] && [ -f "$1" ] || fail 4 "$2: there is no such file: '$1'."; }
"""

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
message=()
if in_git; then message=(-m "Data of $RUN_ID"); fi
cryptoml push-data "$RAW" "$DATA" "${message[@]}" --json
"""

TRAIN = """
receive
# The very version that was made for this run, whatever was pinned since.
! apart || cryptoml pull-data "$DATA" --rev "${VERSION#*@}" >&2
needs "$DATA" "transform_data handed on no data set"
mkdir -p .cryptoml/locks
# A training that was cleared, or whose worker died, may still be on its way out.
name=${DATA##*/}
exec 9> ".cryptoml/locks/airflow-$name.lock"
flock --wait 120 9 || fail 5 "another training of $name is still running."
# What a process that died has left in the journal; a store that is away says so again below.
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
        bash_command=f"{GUARD} {shlex.quote(PREPARE + script)} </dev/null",
        env={
            "PYTHONUNBUFFERED": "1",
            "CRYPTOML_PROJECT_DIR": folder,
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
        on_failure_callback=alert,
        on_retry_callback=alert,
        **more,
    )


def _of_connection(part: str) -> str:
    found = "{% set found = conn.get('cryptoml_dagshub') %}"
    return f"{found}{{{{ (found.{part} or '') if found else '' }}}}"


def _version(line: str) -> str:
    """The data set's version, of what `push-data --json` printed."""
    return json.loads(line)["files"][-1]["version"]


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
        output_processor=json.loads,
        **more,
    )
