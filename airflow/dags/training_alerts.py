"""A callback that posts each failed try to a webhook, once, however often Airflow calls it."""

from __future__ import annotations

import hashlib
import json
import logging
import urllib.request
from typing import Any

from airflow.sdk import Connection

from training_options import project_folder

# The whole address is the connection's password: webhook addresses are secrets, and passwords are masked.
CONNECTION = "cryptoml_alert"
TIMEOUT_S = 10

log = logging.getLogger(__name__)


def alert(context: dict[str, Any]) -> None:
    """Tell of one failed try. An alert that cannot be sent is logged; it never changes what becomes of the task."""
    url = _webhook()
    if url is None:
        return
    message = _message(context)
    # A lost heartbeat makes Airflow call twice, from two processes: whoever makes the file posts.
    folder = project_folder() / ".cryptoml" / "alerts"
    mark = folder / hashlib.sha256(message["id"].encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch(exist_ok=False)
    except FileExistsError:
        log.info("alert %s was sent before", message["id"])
        return
    except OSError as fault:
        log.warning("alert %s: no mark can be kept, so it may come twice: %s", message["id"], fault)
    try:
        _post(url, message)
    except (OSError, ValueError) as fault:
        mark.unlink(missing_ok=True)
        # Not the address: it is a secret, and some errors repeat it.
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
    fault = context.get("exception") or context.get("reason") or "no reason is known"
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
        raise ValueError("a webhook is an http address")
    body = json.dumps(message).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):
        pass
