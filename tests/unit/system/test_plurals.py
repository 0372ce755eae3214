"""Counts agree with their nouns."""

from __future__ import annotations

import pytest

from cryptoml.system.plurals import counted


@pytest.mark.parametrize(
    ("number", "words", "expected"),
    [
        (0, ("candle",), "0 candles"),
        (1, ("candle",), "1 candle"),
        (2000, ("candle",), "2,000 candles"),
        (1, ("ledger entry", "ledger entries"), "1 ledger entry"),
        (2, ("ledger entry", "ledger entries"), "2 ledger entries"),
    ],
)
def test_a_count_agrees_with_its_noun(number, words, expected):
    assert counted(number, *words) == expected
