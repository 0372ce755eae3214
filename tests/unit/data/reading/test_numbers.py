"""Numbers as people and sources write them, with one notation per column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.reading.numbers import AmbiguousNumbersError, DamagedNumbersError, to_numbers


def numbers(*texts: str | None) -> list[float]:
    return list(to_numbers({"close": pd.Series(list(texts), dtype=object)})["close"])


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["62,938.6", "975.0", "1,023.5"], [62938.6, 975.0, 1023.5]),
        (["62.938,6", "975,0", "1.023,5"], [62938.6, 975.0, 1023.5]),
        (["62 938,6", "975,0"], [62938.6, 975.0]),
        (["62\u00a0938,6", "62\u202f938,7", "62\u2009938,8"], [62938.6, 62938.7, 62938.8]),
        (["1'234.5", "1’234.6"], [1234.5, 1234.6]),
        (["$61,000.00", "$60,552.10"], [61000.0, 60552.1]),
        (["61.000,00 €", "60.552,10 €"], [61000.0, 60552.1]),
        (["USD 61,000.5", "61,000.5 USDT"], [61000.5, 61000.5]),
        (["£1,234.5", "¥1,234.5", "₿1.5"], [1234.5, 1234.5, 1.5]),
        (["48.31K", "110.58k", "1.2M", "3B", "0.5T"], [48310, 110580, 1.2e6, 3e9, 5e11]),
        (["48,31K", "1,2M"], [48310, 1.2e6]),
        (["1,5 Mio.", "2,25 Mrd"], [1.5e6, 2.25e9]),
        (["1,234,567", "12"], [1234567, 12]),
        (["1.234.567,5", "12,5"], [1234567.5, 12.5]),
        (["1.234.567", "12.345.678"], [1234567, 12345678]),
        (["0,123", "1,234"], [0.123, 1.234]),
        (["1,2345", "0,5"], [1.2345, 0.5]),
        (["1,234", "975"], [1234, 975]),
        (["6.1E4", "1e-5"], [61000, 1e-5]),
        (["\N{MINUS SIGN}1.5", "+2"], [-1.5, 2]),
        (["1.39%", "-0.09%"], [1.39, -0.09]),
        (["62.938", "975.123"], [62.938, 975.123]),
    ],
)
def test_the_notation_of_a_column_is_derived(texts: list[str], expected: list[float]):
    np.testing.assert_allclose(numbers(*texts), expected, rtol=1e-14)


def test_missing_values_and_words_are_nan():
    found = numbers("1.5", None, "abc", "1.2.3,4,5")
    assert found[0] == 1.5
    assert np.isnan(found[1:]).all()


def test_prices_share_one_notation():
    """1,234 alone is ambiguous; 975 in another price column decides."""
    found = to_numbers({"open": pd.Series(["1,234", "1,240"]), "low": pd.Series(["975", "1,001"])})
    assert [list(values) for values in found.values()] == [[1234, 1240], [975, 1001]]
    found = to_numbers({"open": pd.Series(["1,234", "1,240"]), "low": pd.Series(["0,975", "1,001"])})
    assert [list(values) for values in found.values()] == [[1.234, 1.24], [0.975, 1.001]]


def test_numbers_that_can_be_read_in_two_ways_are_refused():
    with pytest.raises(AmbiguousNumbersError, match="1,234"):
        numbers("1,234", "5,678")


@pytest.mark.parametrize(
    "texts", [("610.000.000.000.000", "610.691.000.000.000"), ("605.520.000", "60552.5", "605.525.000")]
)
def test_prices_that_a_spreadsheet_destroyed_are_recognised(texts: tuple[str, ...]):
    with pytest.raises(DamagedNumbersError):
        numbers(*texts)
