"""Run by Airflow's own Python: imports the DAG files in the folder named and prints what they come to, as JSON."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

FAULT = "Bash command failed. The command returned a non-zero exit code {}."


def facts_of_task(task) -> dict:
    fixed = getattr(task, "partial_kwargs", {}) | vars(task)
    decide = fixed["retry_policy"].evaluate
    ends = {code: decide(Exception(FAULT.format(code)), 1, 3).action.value for code in range(1, 160)}
    return {
        "is_bash": (getattr(task, "operator_class", None) or type(task)) is BashOperator,
        "downstream": sorted(task.downstream_task_ids),
        "command": fixed["bash_command"],
        "env": {name: value if isinstance(value, str) else "XCom" for name, value in fixed["env"].items()},
        "append_env": fixed["append_env"],
        "cwd": fixed["cwd"],
        "retries": task.retries,
        "retry_delay_s": task.retry_delay.total_seconds(),
        "execution_timeout_s": task.execution_timeout.total_seconds(),
        "pool": task.pool,
        "alerts": [[one.__name__ for one in fixed[name]] for name in ("on_failure_callback", "on_retry_callback")],
        "final_codes": [code for code, action in ends.items() if action == "fail"],
    }


def facts_of_dag(dag: DAG) -> dict:
    return {
        "schedule": dag.schedule,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "tasks": {task.task_id: facts_of_task(task) for task in dag.tasks},
    }


def main() -> None:
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder))
    dags = [runpy.run_path(str(path), run_name="dag")["dag"] for path in sorted(folder.glob("crypto_*.py"))]
    loaded = sorted(name for name in sys.modules if name.partition(".")[0] == "cryptoml")
    print(json.dumps({"dags": {dag.dag_id: facts_of_dag(dag) for dag in dags}, "cryptoml": loaded}))


if __name__ == "__main__":
    main()
