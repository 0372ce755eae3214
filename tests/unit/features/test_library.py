"""Every registered feature is causal, scale-free and finite, and matches hand-worked values."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoml.errors import ConfigError
from cryptoml.features.library import FEATURES
from cryptoml.features.pipeline import FeaturePipeline

LAGS, ROLLING = (1, 3), (2, 7)
EACH = pytest.mark.parametrize("name", FEATURES)


def pipeline(name, **options):
    return FeaturePipeline((name,), **{"lag_windows": LAGS, "rolling_windows": ROLLING, **options})


def make_grid(size, seed=0, missing=()):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, size)))
    open_ = close * np.exp(rng.normal(0, 0.005, size))
    grid = pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * np.exp(rng.exponential(0.003, size)),
            "low": np.minimum(open_, close) * np.exp(-rng.exponential(0.003, size)),
            "close": close,
            "volume": np.where(rng.random(size) < 0.1, 0.0, rng.exponential(50, size)),
            "no_trade": False,
        },
        index=pd.date_range("2021-03-05 06:00", periods=size, freq="1h", tz="UTC", name="timestamp"),
    )
    grid.iloc[list(missing), :5] = np.nan
    return grid


def bits(frame):
    return np.ascontiguousarray(frame.to_numpy()).view(np.int32)


@st.composite
def grids(draw):
    size = draw(st.integers(165, 200))
    missing = draw(st.lists(st.integers(0, size - 1), max_size=2))
    return make_grid(size, draw(st.integers(0, 2**32 - 1)), missing)


@EACH
@settings(max_examples=15, deadline=None)
@given(grid=grids(), data=st.data())
def test_past_values_do_not_change_when_the_future_does(name, grid, data):
    chosen = pipeline(name)
    cut = data.draw(st.integers(1, len(grid) - 1))
    whole = bits(chosen.transform(grid))[:cut]
    assert (bits(chosen.transform(grid.iloc[:cut])) == whole).all()
    other = grid.copy()
    other.iloc[cut:, :5] *= data.draw(st.sampled_from([1e-3, 7.0, np.nan, 0.0, -1.0, np.inf]))
    assert (bits(chosen.transform(other))[:cut] == whole).all()


@EACH
@settings(max_examples=10, deadline=None)
@given(grid=grids(), data=st.data())
def test_a_value_depends_only_on_its_declared_lookback(name, grid, data):
    chosen = pipeline(name)
    row = data.draw(st.integers(0, len(grid) - 1))
    whole = bits(chosen.transform(grid))[row]
    start = max(row + 1 - chosen.warmup_candles, 0)
    assert (bits(chosen.transform(grid.iloc[start : row + 1]))[-1] == whole).all()


@EACH
def test_values_are_nan_only_in_the_warm_up_and_after_breaks(name):
    missing = (175, 176, 350)
    grid = make_grid(520, 3, missing)
    run = np.zeros(len(grid), dtype=int)
    for row in range(len(grid)):
        run[row] = 0 if row in missing else 1 + (run[row - 1] if row else 0)
    found = pipeline(name).transform(grid)
    windows = {"lag": LAGS, "rolling": ROLLING, "fixed": (0,)}[FEATURES[name].family]
    for column, window in zip(found.columns, windows, strict=True):
        expected = run >= FEATURES[name].lookback(window)
        assert expected.any()
        assert (np.isfinite(found[column].to_numpy()) == expected).all()
        assert (found[column].notna().to_numpy() == expected).all()


@EACH
def test_the_declared_lookback_is_not_too_short(name):
    """With one candle fewer, the feature function returns another value."""
    from cryptoml.features.bars import Bars

    grid = make_grid(400, 5)
    spec = FEATURES[name]
    window = {"lag": 3, "rolling": 7, "fixed": 0}[spec.family]

    def alone(candles):
        part = grid.iloc[-candles:]
        columns = {c: part[c].to_numpy() for c in ("open", "high", "low", "close", "volume")}
        seconds = part.index.as_unit("s").astype("int64").to_numpy()
        return spec.compute(Bars(**columns, opened_s=seconds), window)[-1]

    enough = spec.lookback(window)
    assert alone(enough) == alone(400)
    if enough > 1:
        assert np.isnan(alone(enough - 1))


@EACH
@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_features_do_not_depend_on_the_scale_of_prices_or_volumes(name, factor):
    grid = make_grid(300, 8, (200,))
    scaled = grid.copy()
    scaled.iloc[:, :5] *= factor
    before, after = pipeline(name).transform(grid), pipeline(name).transform(scaled)
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-9)


@EACH
def test_scaling_by_a_power_of_two_changes_no_bit(name):
    grid = make_grid(300, 8, (200,))
    scaled = grid.copy()
    scaled.iloc[:, :5] *= 1024
    assert (bits(pipeline(name).transform(scaled)) == bits(pipeline(name).transform(grid))).all()


@EACH
@pytest.mark.parametrize("kind", ["constant price", "zero volume", "no volume at all", "steady growth"])
def test_a_market_without_movement_gives_finite_values(name, kind):
    grid = make_grid(250, 2)
    if kind == "constant price":
        grid.iloc[:, :4] = 123.45
    elif kind == "steady growth":
        grid[["open", "high", "low", "close"]] = np.repeat(5 * np.exp(0.001 * np.arange(250)[:, None]), 4, 1)
    else:
        grid["volume"] = 0.0 if kind == "zero volume" else np.nan
    chosen = pipeline(name)
    found = chosen.transform(grid).iloc[chosen.warmup_candles - 1 :]
    assert np.isfinite(found.to_numpy()).all()
    assert np.abs(found.to_numpy()).max() <= 100


def value(name, grid, column=None, **options):
    found = pipeline(name, **options).transform(grid)
    return found[column or name].iloc[-1]


def candles(rows, start="2021-03-05 06:00", freq="1h"):
    """Return a grid with the rows (open, high, low, close, volume)."""
    index = pd.date_range(start, periods=len(rows), freq=freq, tz="UTC", name="timestamp")
    return pd.DataFrame(rows, columns=["open", "high", "low", "close", "volume"], index=index, dtype=float)


def closes(*values):
    return candles([(c, c, c, c, 1) for c in values])


ROWS = candles([(10, 13, 9, 12, 4), (12, 16, 12, 15, 0), (15, 20, 10, 14, 6)])
RETURNS = np.log([15 / 12, 14 / 15])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("log_return_1", np.log(14 / 15)),
        ("log_return_2", np.log(14 / 12)),
        ("lagged_return_1", np.log(15 / 12)),
        ("return_std_2", np.std(RETURNS)),
        ("return_mean_2", np.mean(RETURNS) / np.sqrt(np.mean(RETURNS**2))),
        ("return_skew_2", 0.0),
        ("sma_distance_3", np.log(14 / (41 / 3))),
        ("high_distance_2", np.log(14 / 20)),
        ("low_distance_3", np.log(14 / 9)),
        ("volume_ratio_3", np.log(1 + 6 / (10 / 3))),
        ("volume_change", 1.0),
        ("candle_range", np.log(2)),
        ("candle_body", -0.1),
        ("upper_wick", 0.5),
        ("lower_wick", 0.4),
    ],
)
def test_features_match_hand_worked_values(column, expected):
    name = column.rstrip("0123456789").rstrip("_")
    found = value(name, ROWS, column, lag_windows=(1, 2), rolling_windows=(2, 3))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_skew_matches_a_hand_worked_value():
    # Returns of 0, 0, log 2: mean m/3, so the skew is that of (0, 0, 1), 1/sqrt(2).
    found = value("return_skew", closes(1, 1, 1, 2), "return_skew_3", rolling_windows=(3,))
    assert found == pytest.approx(1 / np.sqrt(2), rel=1e-6)


def test_rsi_matches_hand_worked_values():
    up, down = [2.0**k for k in range(10)], [2.0**k for k in (8, 7, 6, 5)]
    # 15 closes: nine rises and five falls of one doubling each; the last row looks back 14 returns.
    assert value("rsi", closes(*up, *down, 16)) == pytest.approx(100 * 9 / 14)
    assert value("rsi", closes(*range(1, 16))) == 100
    assert value("rsi", closes(*([7] * 15))) == 50


def test_bollinger_matches_a_hand_worked_value():
    # Nineteen closes of 10 and one of 30: mean 11, deviation sqrt(19).
    assert value("bollinger", closes(*([10] * 19), 30)) == pytest.approx(19 / (2 * np.sqrt(19)), rel=1e-6)


def test_atr_matches_a_hand_worked_value():
    rows = [(8, 8, 8, 8, 1)] * 14 + [(8, 16, 4, 8, 1)]
    assert value("atr", candles(rows)) == pytest.approx(np.log(4) / 14, rel=1e-6)
    # A gap counts: no range within the last candle, but a doubling since the close before.
    rows = [(8, 8, 8, 8, 1)] * 14 + [(16, 16, 16, 16, 1)]
    assert value("atr", candles(rows)) == pytest.approx(np.log(2) / 14, rel=1e-6)


def test_macd_is_the_difference_of_two_exponential_moving_averages():
    grid = make_grid(600, 4)
    log_close = np.log(grid["close"])
    slow, fast = (log_close.ewm(span=span, adjust=False).mean() for span in (26, 12))
    line = fast - slow
    histogram = line - line.ewm(span=9, adjust=False).mean()
    found = pipeline("macd").transform(grid)["macd"]
    np.testing.assert_allclose(found.iloc[300:], line.iloc[300:], atol=2e-5)
    found = pipeline("macd_histogram").transform(grid)["macd_histogram"]
    np.testing.assert_allclose(found.iloc[300:], histogram.iloc[300:], atol=5e-5)


def test_calendar_features_match_hand_worked_values():
    # 2021-03-07 was a Sunday, the seventh day; 18:00 is three quarters of the way round.
    grid = candles([(1, 1, 1, 1, 1)], start="2021-03-07 18:00")
    assert value("hour_sin", grid) == pytest.approx(-1)
    assert value("hour_cos", grid) == pytest.approx(0, abs=1e-7)
    assert value("weekday_sin", grid) == pytest.approx(np.sin(6 / 7 * 2 * np.pi), rel=1e-6)
    monday = candles([(1, 1, 1, 1, 1)], start="2021-03-08 00:00")
    assert value("weekday_sin", monday) == 0
    assert value("weekday_cos", monday) == 1


def test_calendar_features_depend_on_the_interval():
    hourly, daily = FeaturePipeline(), FeaturePipeline(interval="1d")
    assert {"hour_sin", "hour_cos", "weekday_sin", "weekday_cos"} <= set(hourly.feature_names)
    assert set(hourly.feature_names) - set(daily.feature_names) == {"hour_sin", "hour_cos"}
    with pytest.raises(ConfigError, match="No feature remains"):
        FeaturePipeline(("hour_sin",), interval="1d")


def test_defaults_give_about_fifty_columns_with_distinct_names():
    names = FeaturePipeline().feature_names
    assert 45 <= len(names) <= 60
    assert len(set(names)) == len(names)


@EACH
def test_every_feature_has_a_description(name):
    assert FEATURES[name].name == name
    assert len(FEATURES[name].doc) > 15


def test_features_are_listed_without_importing_heavy_libraries():
    code = (
        "import sys; from cryptoml.features.library import FEATURES; assert FEATURES;"
        "print([m for m in ('pandas', 'sklearn', 'scipy', 'mlflow', 'xgboost') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
