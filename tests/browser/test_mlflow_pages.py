"""MLflow's own pages, served by `cryptoml ui` from this environment, in a real browser."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.lab import Lab

START_WITHIN_S = 240


@pytest.fixture(scope="module")
def address(lab: Lab) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = lab.project.command("ui", "--port", port, "--no-browser")
    process = subprocess.Popen(command, cwd=lab.project.folder, env=lab.project.environ, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        assert process.poll() is None, f"cryptoml ui exited with {process.returncode}"
        assert time.monotonic() < deadline, "cryptoml ui does not answer"
        try:
            with urlopen(f"{url}/health", timeout=5):
                break
        except OSError:
            time.sleep(0.2)
    yield url
    process.terminate()
    process.wait(30)


def experiment_of(lab: Lab, address: str, run_id: str) -> str:
    with urlopen(f"{address}/api/2.0/mlflow/runs/get?run_id={run_id}", timeout=60) as answer:
        return str(json.load(answer)["run"]["info"]["experiment_id"])


@pytest.mark.parametrize("browser", [(1400, 1000)], indirect=True)
def test_the_run_page_shows_the_run(browser: Any, lab: Lab, address: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    run_id = lab.runs["ridge"]
    browser.get(f"{address}/#/experiments/{experiment_of(lab, address, run_id)}/runs/{run_id}")

    def shown(page: Any) -> bool:
        text = page.find_element("tag name", "body").text
        assert "Can't load run details" not in text
        return lab.names["ridge"] in text and "cv_rmse_mean" in text and "prediction_horizon" in text

    WebDriverWait(browser, 120).until(shown)


def test_the_graphql_endpoint_answers(lab: Lab, address: str) -> None:
    query = "query Run($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { run { info { runName } } } }"
    body = {"operationName": "Run", "query": query, "variables": {"data": {"runId": lab.runs["ridge"]}}}
    request = Request(f"{address}/graphql", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        document = json.load(answer)
    assert document["data"]["mlflowGetRun"]["run"]["info"]["runName"] == lab.names["ridge"]
