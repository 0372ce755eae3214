"""The limits within which MLflow's client sends its requests; it reads them from the environment."""

from __future__ import annotations

import math
import os

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


def limits_of(timeout_s: float) -> dict[str, str]:
    """Three tries within seconds and no redirects; other limits that the user set stay."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, math.ceil(timeout_s))),
        RETRIES: "2",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        # A server may ask for an hour's patience; the journal waits instead.
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
        # Ending a run would print its address to standard output, where results go.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    kept = {name: text for name, text in wanted.items() if name not in os.environ}
    # Whatever the user set: a redirected request would carry its body to another host. `probe_http` refuses an
    # address that redirects, so no working set-up needs them.
    return kept | {"MLFLOW_ALLOW_HTTP_REDIRECTS": "false"}
