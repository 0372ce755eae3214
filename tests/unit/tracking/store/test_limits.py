"""What fits into a request."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from cryptoml.tracking.store.limits import (
    BYTES_PER_BATCH,
    ENTRIES_PER_BATCH,
    KEY_LENGTH,
    PARAMS_PER_BATCH,
    TAGS_PER_BATCH,
    batches,
    fit,
    pair_size,
)


def test_long_values_and_names_are_cut_with_a_warning() -> None:
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


@given(st.integers(0, 250), st.lists(st.integers(1, BYTES_PER_BATCH), max_size=40), st.integers(0, 250))
def test_batches_keep_order_and_limits(n_params: int, metrics: list[int], n_tags: int) -> None:
    params, tags = ({f"{kind}{number}": "x" for number in range(n)} for kind, n in (("p", n_params), ("t", n_tags)))
    parts = list(batches(params, metrics, tags, metric_size=lambda size: size))
    assert [pair for part in parts for pair in part.params.items()] == list(params.items())
    assert [metric for part in parts for metric in part.metrics] == metrics
    assert [pair for part in parts for pair in part.tags.items()] == list(tags.items())
    for part in parts:
        pairs = sum(pair_size(pair) for pair in (*part.params.items(), *part.tags.items()))
        assert pairs + sum(part.metrics) <= BYTES_PER_BATCH
        assert len(part.params) <= PARAMS_PER_BATCH
        assert len(part.tags) <= TAGS_PER_BATCH
        assert 0 < len(part) <= ENTRIES_PER_BATCH


def test_what_fits_goes_in_one_batch() -> None:
    parts = list(batches({"p": "1"}, [10] * 900, {"t": "1"}, metric_size=lambda size: size))
    assert [len(part) for part in parts] == [902]
    assert [len(part) for part in batches({}, [1] * 2500, {}, metric_size=lambda size: size)] == [1000, 1000, 500]
    assert not list(batches({}, [], {}, metric_size=lambda size: size))


def test_a_pair_is_weighed_as_the_request_will_write_it() -> None:
    pair = ("key", "\U0001f600" * 100)
    written = json.dumps([{"key": pair[0], "value": pair[1]}])
    assert pair_size(pair) >= len(written) - 2
