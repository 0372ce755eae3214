"""The validator of --json documents accepts valid documents only."""

from __future__ import annotations

import json

import pytest

from cryptoml.result import Failure, json_line
from tests.json_schemas import check_envelope

RESULT = {
    "path": "a.csv", "truth_path": "a.truth.csv", "candles": 1, "interval": "1h", "start": "s", "end": "e",
    "signal": 0.01,
}  # fmt: skip
SCHEMA = "cryptoml.sample-data/1"


def test_a_valid_result_passes():
    assert check_envelope(json_line(SCHEMA, result=RESULT), 0)["result"] == RESULT


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"candles": "1"}, 0),
        ({"candles": True}, 0),
        ({"candles": None}, 0),
        ({"signal": "0.01"}, 0),
        ({"more": 1}, 0),
        ({}, 1),
    ],
)
def test_an_invalid_document_fails(changed: dict[str, object], code: int):
    with pytest.raises(AssertionError):
        check_envelope(json_line(SCHEMA, result=RESULT | changed), code)


def test_a_missing_key_fails():
    fewer = {key: value for key, value in RESULT.items() if key != "candles"}
    with pytest.raises(AssertionError, match="candles"):
        check_envelope(json_line(SCHEMA, result=fewer), 0)


def test_the_error_must_match_the_exit_code():
    line = json_line(SCHEMA, failure=Failure(5, "away."))
    assert check_envelope(line, 5)["error"]["kind"] == "unavailable"
    with pytest.raises(AssertionError):
        check_envelope(line, 6)
    wrong = json.loads(line)
    wrong["error"]["kind"] = "data"
    with pytest.raises(AssertionError):
        check_envelope(json.dumps(wrong), 5)
