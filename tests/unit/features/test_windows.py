"""Rolling windows: equal to a plain loop, bit-identical from any start, NaN only for windows with a NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoml.features.windows import Moments, geometric_sum, highest, lagged, lowest

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=80).map(np.array)
WINDOWS = st.integers(1, 40)


def test_moments_match_hand_worked_values():
    mean, squared, cubed = Moments(np.array([1.0, 2.0, 6.0, 3.0]), order=3).over(3)
    # 1 2 6: mean 3, deviations -2 -1 3; 2 6 3: mean 11/3, deviations -5/3 7/3 -2/3
    assert np.isnan(mean[:2]).all()
    assert np.isnan(cubed[:2]).all()
    assert mean[2:] == pytest.approx([3, 11 / 3])
    assert squared[2:] == pytest.approx([14 / 3, (25 + 49 + 4) / 27])
    assert cubed[2:] == pytest.approx([18 / 3, (-125 + 343 - 8) / 81])


@settings(max_examples=100, deadline=None)
@given(values=VALUES, window=WINDOWS)
def test_moments_equal_a_plain_loop(values, window):
    mean, squared, cubed = Moments(values, order=3).over(window)
    for row in range(values.size):
        if row + 1 < window:
            assert np.isnan(mean[row])
            continue
        part = values[row + 1 - window : row + 1]
        scale = np.abs(part).max() + 1e-9
        assert mean[row] == pytest.approx(part.mean(), abs=1e-12 * scale)
        assert squared[row] == pytest.approx(part.var(), abs=1e-11 * scale**2)
        assert cubed[row] == pytest.approx(((part - part.mean()) ** 3).mean(), abs=1e-10 * scale**3)


@settings(max_examples=60, deadline=None)
@given(values=VALUES, window=WINDOWS, data=st.data())
def test_the_bits_of_a_row_do_not_depend_on_where_the_series_starts(values, window, data):
    start = data.draw(st.integers(0, values.size - 1))
    for whole, part in zip(
        Moments(values, order=3).over(window), Moments(values[start:], order=3).over(window), strict=True
    ):
        assert whole[start + window - 1 :].tobytes() == part[window - 1 :].tobytes()
    whole, part = geometric_sum(values, 0.9, 8), geometric_sum(values[start:], 0.9, 8)
    assert whole[start + 7 :].tobytes() == part[7:].tobytes()


@pytest.mark.parametrize("window", range(1, 20))
def test_equal_values_have_a_deviation_of_exactly_zero(window):
    mean, squared, cubed = Moments(np.full(40, 0.1), order=3).over(window)
    assert (mean[window - 1 :] == 0.1).all()
    assert (squared[window - 1 :] == 0).all()
    assert (cubed[window - 1 :] == 0).all()


@pytest.mark.parametrize("window", [1, 2, 3, 7, 8, 13])
def test_a_nan_affects_only_the_windows_that_contain_it(window):
    values = np.arange(40.0)
    values[20] = np.nan
    expected = np.ones(40, dtype=bool)
    expected[: window - 1] = False
    expected[20 : 20 + window] = False
    for found in (*Moments(values, order=3).over(window), highest(values, window), lowest(values, window)):
        assert (np.isfinite(found) == expected).all()


@settings(max_examples=60, deadline=None)
@given(values=VALUES, window=WINDOWS)
def test_extremes_equal_a_plain_loop(values, window):
    top, bottom = highest(values, window), lowest(values, window)
    for row in range(window - 1, values.size):
        part = values[row + 1 - window : row + 1]
        assert top[row] == part.max()
        assert bottom[row] == part.min()
    assert np.isnan(top[: window - 1]).all()


def test_geometric_sum_matches_hand_worked_values():
    found = geometric_sum(np.array([1.0, 10.0, 100.0, 1000.0, 0.0]), 0.5, 4)
    assert np.isnan(found[:3]).all()
    assert found[3:].tolist() == [1000 + 50 + 2.5 + 0.125, 0 + 500 + 25 + 1.25]


def test_lagged_matches_hand_worked_values():
    assert lagged(np.array([1.0, 2.0, 3.0]), 2)[2] == 1.0
    assert np.isnan(lagged(np.array([1.0, 2.0, 3.0]), 2)[:2]).all()
    assert np.isnan(lagged(np.array([1.0, 2.0]), 5)).all()
    assert lagged(np.array([1.0, 2.0]), 0).tolist() == [1.0, 2.0]
