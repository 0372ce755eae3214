"""A callback that posts each failed try to a webhook exactly once, even if Airflow calls it repeatedly."""

from __future__ import annotations

import hashlib
import json
import logging
import urllib.request
from typing import Any

from airflow.sdk import Connection

from training_options import project_folder

# The URL of the webhook is stored as the connection's password, because it is a secret and Airflow masks passwords.
CONNECTION = "cryptoml_alert"
TIMEOUT_S = 10

log = logging.getLogger(__name__)


def alert(context: dict[str, Any]) -> None:
    """Report one failed try. An alert that cannot be sent is logged and does not change the state of the task."""
    url = _webhook()
    if url is None:
        return
    message = _message(context)
    # After a lost heartbeat Airflow calls twice, from two processes: the one that creates the file posts.
    folder = project_folder() / ".cryptoml" / "alerts"
    mark = folder / hashlib.sha256(message["id"].encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch(exist_ok=False)
    except FileExistsError:
        log.info("alert %s was already sent", message["id"])
        return
    except OSError as fault:
        log.warning("alert %s may be sent twice, because its marker file cannot be written: %s", message["id"], fault)
    try:
        _post(url, message)
    except (OSError, ValueError) as fault:
        mark.unlink(missing_ok=True)
        # Without the message: it may contain the URL, which is a secret.
        log.warning("alert %s was not sent: %s", message["id"], type(fault).__name__)


def _webhook() -> str | None:
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return Connection.get(CONNECTION).password or None
    except AirflowNotFoundException:
        return None


def _message(context: dict[str, Any]) -> dict[str, Any]:
    ti = context["ti"]
    name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
    fault = context.get("exception") or context.get("reason") or "unknown reason"
    return {
        "id": f"{ti.dag_id}/{ti.run_id}/{name}/{ti.try_number}",
        "text": f"{ti.dag_id}: {name} failed in try {ti.try_number} of run {ti.run_id}: {fault}",
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        "try_number": ti.try_number,
        "reason": str(fault),
    }


def _post(url: str, message: dict[str, Any]) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError("the URL of a webhook must begin with http:// or https://")
    body = json.dumps(message).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):
        pass
