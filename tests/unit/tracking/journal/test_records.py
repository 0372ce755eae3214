"""The journal's lines: only complete lines are read."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoml.tracking.journal.records import MetricPoint, Registration, decode, encode, fold, number_to_json

TEXT = st.text(max_size=20)
RECORD = st.one_of(
    st.fixed_dictionaries({"kind": st.just("params"), "params": st.dictionaries(TEXT, TEXT, max_size=3)}),
    st.fixed_dictionaries(
        {
            "kind": st.just("metrics"),
            "metrics": st.lists(
                st.tuples(TEXT, st.floats(), st.integers(0, 9), st.integers(0, 10**13)).map(
                    lambda point: [point[0], number_to_json(point[1]), point[2], point[3]]
                ),
                max_size=3,
            ),
        }
    ),
    st.fixed_dictionaries({"kind": st.just("tags"), "tags": st.dictionaries(TEXT, TEXT, max_size=3)}),
)
START = {
    "kind": "start",
    "run_key": "k",
    "training_id": "t",
    "experiment": "e",
    "run_name": "n",
    "tags": {"a": "1"},
    "time_ms": 5,
    "process": {"host": "h", "boot": "b", "space": "s", "pid": 1, "started": "2"},
}


@given(st.lists(RECORD, max_size=6), st.data())
@settings(max_examples=150, deadline=None)
def test_a_truncated_journal_gives_exactly_its_complete_lines(records: list[dict], data: st.DataObject) -> None:
    lines = [encode(record) for record in records]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    found, damaged = decode(whole[:cut])
    ends = [sum(map(len, lines[: place + 1])) for place in range(len(lines))]
    # The newline is not part of what makes a line whole.
    complete = sum(end - 1 <= cut for end in ends)
    assert found == records[:complete]
    torn = cut > (ends[complete - 1] if complete else 0)
    assert damaged == int(torn)


@given(st.lists(RECORD, min_size=1, max_size=4), st.data())
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_loses_only_its_own_line(records: list[dict], data: st.DataObject) -> None:
    lines = [encode(record) for record in records]
    hit = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[hit]) - 2))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte not in (lines[hit][place], 0x0A)))
    lines[hit] = lines[hit][:place] + bytes([other]) + lines[hit][place + 1 :]
    found, damaged = decode(b"".join(lines))
    assert found == records[:hit] + records[hit + 1 :]
    assert damaged == 1


@given(st.lists(RECORD, max_size=6))
@settings(max_examples=80, deadline=None)
def test_repeated_records_are_not_duplicated(records: list[dict]) -> None:
    once = fold([START, *records])
    twice = fold([START, *records, START, *records])
    assert once is not None
    assert once == twice


def test_fold_combines_records_into_a_run() -> None:
    records = [
        START,
        {"kind": "params", "params": {"p": "1"}},
        {"kind": "metrics", "metrics": [["m", 1.5, 0, 7], ["m", "nan", 1, 8], ["m", "-inf", 2, 9]]},
        {"kind": "tags", "tags": {"a": "2", "b": "3"}},
        {"kind": "artifact", "path": "data/x", "sha256": "00", "size": 1},
        {"kind": "artifact", "path": "data/x", "sha256": "11", "size": 2},
        {
            "kind": "registration",
            "model_name": "m",
            "model_path": "models/model",
            "description": "d",
            "tags": {},
        },
        {"kind": "stop", "signal": 15, "time_ms": 10},
        {"kind": "end", "status": "KILLED", "time_ms": 11},
        {"kind": "end", "status": "FINISHED", "time_ms": 12},
    ]
    run = fold(records, 3)
    assert run is not None
    assert dict(run.params) == {"p": "1"}
    assert run.metrics[0] == MetricPoint("m", 1.5, 0, 7)
    assert math.isnan(run.metrics[1].value)
    assert run.metrics[2].value == -math.inf
    assert dict(run.tags) == {"a": "2", "b": "3"}
    assert [(one.path, one.sha256, one.size) for one in run.artifacts] == [("data/x", "11", 2)]
    assert run.registrations == (Registration("m", "models/model", "d", {}),)
    assert (run.stop_signal, run.status, run.end_time_ms, run.damaged_lines) == (15, "KILLED", 11, 3)
    assert run.process.pid == 1


def test_without_a_complete_start_there_is_no_run() -> None:
    assert fold([{"kind": "params", "params": {"p": "1"}}]) is None
