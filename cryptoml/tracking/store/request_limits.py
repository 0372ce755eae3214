"""Limits for requests of MLflow's client, which reads them from the environment."""

from __future__ import annotations

import math
import os

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


def limits_of(timeout_s: float) -> dict[str, str]:
    """Return variables for three attempts within seconds and no redirects; other limits set by the user are kept."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, math.ceil(timeout_s))),
        RETRIES: "2",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        # A server may request a wait of an hour; runs wait in the journal instead.
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
        # mlflow would print the run's address to standard output, which is for results.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    defaults = {name: value for name, value in wanted.items() if name not in os.environ}
    # Always set, because a redirect would send the request body to another host. `probe_http` rejects addresses that
    # redirect, so no working configuration needs redirects.
    return defaults | {"MLFLOW_ALLOW_HTTP_REDIRECTS": "false"}
