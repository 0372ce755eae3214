"""A delivery meets a fault; afterwards every run is in the store once and complete. The full form: make faults."""

from __future__ import annotations

import pytest

from tests.faults.campaign import parse, run_item
from tests.faults.case import Bench

CASES = (
    "sync:experiment-get:refuse:2:1",
    "sync:experiment-create:lost-reply:1:1",
    "sync:experiment-create:409:1:1",
    "sync:run-search:captive:1:1",
    "sync:run-create:lost-reply:1:1",
    "sync:run-create:502-after:1:1",
    "sync:run-create:silent-reply:2:1",
    "sync:run-create:503:1:0",
    "sync:run-get:404:2:1",
    "sync:log-batch:reset-reply:2:1",
    "sync:log-batch:length-short:1:1",
    "sync:artifact-put:short-upload-200:5:1",
    "sync:artifact-put:captive:3:1",
    "sync:artifact-put:half-reply:1:0",
    "sync:artifact-put:429-3600:7:1",
    "sync:artifact-list:401:1:1",
    "sync:model-create:504-after:1:1",
    "sync:version-create:lost-reply:1:1",
    "sync:version-create:307:1:1",
    "sync:version-search:length-long:1:1",
    "sync:run-update:black-hole:1:1",
)


@pytest.mark.slow
@pytest.mark.parametrize("text", CASES)
def test_a_delivery_is_complete_and_doubled_nowhere_after(bench: Bench, text: str) -> None:
    result = run_item(bench, parse(text), f"t-{text}".replace(":", "-").replace(".", "-"))
    assert not result.problems, (result.codes, result.said)
    assert result.reached
