"""Commands are killed at chosen moments; afterwards every run is in the store once, with its true status."""

from __future__ import annotations

import pytest

from tests.faults.campaign import parse, run_item
from tests.faults.case import Bench

# By request where there are some: on a busy machine the moment is the same.
CASES = (
    "train-first:KILL:time:2.5",
    "train-sqlite:TERM:time:3",
    "train:KILL:after:8",
    "train:TERM:before:30",
    "sync:KILL:after:3",
    "sync:TERM:before:12",
    "sync:KILL:before:30",
    "register:KILL:after:17",
    "promote:TERM:after:40",
    "push-data:KILL:after:5",
)


@pytest.mark.slow
@pytest.mark.parametrize("text", CASES)
def test_a_killed_command_loses_no_data_and_creates_no_duplicates(bench: Bench, text: str) -> None:
    result = run_item(bench, parse(text), f"t-{text}".replace(":", "-").replace(".", "-"))
    assert not result.problems, (result.codes, result.said)
    # A kill by the clock may come after the end.
    assert result.reached or ":time:" in text
