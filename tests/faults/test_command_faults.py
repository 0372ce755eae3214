"""The other commands that talk to DagsHub meet a fault. The full form: make faults."""

from __future__ import annotations

import pytest

from tests.faults.campaign import parse, run_item
from tests.faults.case import Bench

CASES = (
    "register:artifact-list:404:1:1",
    "register:version-create:502-after:1:1",
    "register:version-search:403:1:1",
    "promote:model-tag:lost-reply:1:1",
    "promote:model-create:lost-reply:1:1",
    "promote:model-alias:500:1:0",
    "promote:model-alias:short-upload-200:1:0",
    "promote:model-delete:429-1:1:3",
    "register:artifact-list:307:2:0",
    "promote:artifact-get:half-reply:5:1",
    "push-data:dvc-post:short-upload-200:2:1",
    "push-data:dvc-post:503:1:0",
    "push-data:dvc-head:308:1:1",
    "pull-data:dvc-get:captive:2:1",
    "pull-data:dvc-get:length-short:2:1",
    "setup-remotes:api-user:slow-0.2:1:1",
    "setup-remotes:git:302:1:1",
    "train:run-create:reset-reply:1:1",
    "train:log-batch:401:1:0",
)


@pytest.mark.slow
@pytest.mark.parametrize("text", CASES)
def test_a_command_can_be_repeated_until_all_is_well(bench: Bench, text: str) -> None:
    result = run_item(bench, parse(text), f"t-{text}".replace(":", "-").replace(".", "-"))
    assert not result.problems, (result.codes, result.said)
    assert result.reached
