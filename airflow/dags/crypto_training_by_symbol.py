"""Train one model per market, in parallel within the limits of the pool; fails if one market fails."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, task_group

import training_steps as steps
from training_options import SCHEDULES, load_options
from training_params import training_params

OPTIONS = load_options()

with DAG(
    dag_id="crypto_training_by_symbol",
    description=__doc__,
    schedule=SCHEDULES[OPTIONS.schedule],
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=training_params(most_symbols=50),
    tags=["cryptoml"],
) as dag:

    @task_group
    def market(raw):
        """Train on one market. The trainings are the last tasks of the DAG, so a failed one makes the run fail."""
        transform_data = steps.transform_data(OPTIONS, raw)
        version_data = steps.version_data(OPTIONS, raw, transform_data.output)
        train_model = steps.train_model(OPTIONS, transform_data.output, version_data.output, pool=OPTIONS.pool)
        transform_data >> version_data >> train_model

    market.expand(raw=steps.extract_data(OPTIONS).output)
