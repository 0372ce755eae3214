"""What fits into a request."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from cryptoml.tracking.store.limits import BYTES_A_REQUEST, KEY_LENGTH, chunks, fit, pair_size


def test_long_values_and_names_are_cut_and_told() -> None:
    told: list[str] = []
    found = fit({"a": "x" * 30, "k" * 300: "y", "b": "z"}, length=10, what="tag", tell=told.append)
    assert found == {"a": "x" * 10, "k" * KEY_LENGTH: "y", "b": "z"}
    assert len(told) == 2
    assert "30 characters" in told[0]
    assert "name of the tag kkkk" in told[1]


def test_of_names_made_equal_by_cutting_the_first_stays() -> None:
    told: list[str] = []
    found = fit({"k" * 260: "1", "k" * 270: "2"}, length=10, what="parameter", tell=told.append)
    assert found == {"k" * KEY_LENGTH: "1"}


@given(st.lists(st.integers(1, BYTES_A_REQUEST), max_size=40), st.integers(1, 7))
def test_chunks_keep_order_and_limits(sizes: list[int], most: int) -> None:
    parts = list(chunks(sizes, most=most, size=lambda item: item))
    assert [item for part in parts for item in part] == sizes
    assert all(len(part) <= most and sum(part) <= BYTES_A_REQUEST for part in parts)
    assert all(parts)


def test_a_pair_is_weighed_as_the_request_will_write_it() -> None:
    pair = ("key", "\U0001f600" * 100)
    written = json.dumps([{"key": pair[0], "value": pair[1]}])
    assert pair_size(pair) >= len(written) - 2
