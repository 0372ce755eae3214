"""Train and register a model on the candles of one market, in four tasks that each run a `cryptoml` command."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

import training_steps as steps
from training_options import SCHEDULES, load_options
from training_params import training_params

OPTIONS = load_options()

with DAG(
    dag_id="crypto_training",
    description=__doc__,
    schedule=SCHEDULES[OPTIONS.schedule],
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=training_params(most_symbols=1),
    tags=["cryptoml"],
) as dag:
    raw = "{{ (ti.xcom_pull(task_ids='extract_data') or [''])[0] }}"
    data = "{{ ti.xcom_pull(task_ids='transform_data') or '' }}"
    version = "{{ ti.xcom_pull(task_ids='version_data') or '' }}"
    extract_data = steps.extract_data(OPTIONS)
    transform_data = steps.transform_data(OPTIONS, raw)
    version_data = steps.version_data(OPTIONS, raw, data)
    train_model = steps.train_model(OPTIONS, data, version)
    extract_data >> transform_data >> version_data >> train_model
