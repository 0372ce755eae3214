"""The feature pipeline and the target."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest

import cryptoml.features.pipeline as module
from cryptoml.errors import ConfigError, DataError
from cryptoml.features.pipeline import FeaturePipeline, log_return_target


def make_grid(size, seed=0, freq="1h", missing=()):
    rng = np.random.default_rng(seed)
    close = 30_000 * np.exp(np.cumsum(rng.standard_t(4, size) * 0.005)).round(6)
    open_ = np.concatenate((close[:1], close[:-1]))
    grid = pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * (1 + rng.exponential(0.002, size)),
            "low": np.minimum(open_, close) * (1 - rng.exponential(0.002, size).clip(0, 0.5)),
            "close": close,
            "volume": rng.lognormal(3, 1, size).round(3),
        },
        index=pd.date_range("2020-01-01", periods=size, freq=freq, tz="UTC", name="timestamp"),
    )
    grid.iloc[list(missing)] = np.nan
    return grid


def bits(frame):
    return np.ascontiguousarray(frame.to_numpy()).view(np.int32)


def test_the_last_warm_up_rows_give_the_same_bits_as_the_whole_history():
    grid = make_grid(5_000, missing=(1_000, 1_001, 3_333))
    chosen = FeaturePipeline()
    whole = bits(chosen.transform(grid))
    for last in (169, 170, 1_200, 2_500, 3_333, 3_400, 4_321, 5_000):
        served = chosen.transform(grid.iloc[last - chosen.warmup_candles : last])
        assert (bits(served)[-1] == whole[last - 1]).all()


def test_only_the_last_of_the_warm_up_rows_has_no_nan():
    chosen = FeaturePipeline()
    assert chosen.warmup_candles == 169
    found = chosen.transform(make_grid(200))
    complete = found.notna().all(axis=1).to_numpy()
    assert not complete[:168].any()
    assert complete[168:].all()


@pytest.mark.parametrize("rows", [1, 17, 64, 499, 500, 501])
def test_the_block_size_does_not_change_the_result(rows, monkeypatch):
    grid = make_grid(500, 1, missing=(100, 301))
    chosen = FeaturePipeline(rolling_windows=(3, 20))
    whole = bits(chosen.transform(grid))
    monkeypatch.setattr(module, "_BLOCK_ROWS", rows)
    assert (bits(chosen.transform(grid)) == whole).all()


def test_shape_and_types_of_the_result():
    grid = make_grid(300)
    chosen = FeaturePipeline()
    before = grid.copy()
    found = chosen.transform(grid)
    assert (found.dtypes == np.float32).all()
    assert tuple(found.columns) == chosen.feature_names
    assert found.index.equals(grid.index)
    assert found.index.name == "timestamp"
    pd.testing.assert_frame_equal(grid, before)


@pytest.mark.parametrize("size", [0, 1, 5])
def test_grids_shorter_than_the_warm_up_give_nan(size):
    found = FeaturePipeline().transform(make_grid(10).iloc[:size])
    assert len(found) == size
    assert found["return_std_6"].isna().all()


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_the_unit_of_the_index_does_not_matter(unit):
    grid = make_grid(200)
    expected = bits(FeaturePipeline().transform(grid))
    grid.index = grid.index.as_unit(unit)
    assert (bits(FeaturePipeline().transform(grid)) == expected).all()


def test_rows_must_be_one_interval_apart():
    grid = make_grid(300)
    with pytest.raises(DataError, match="2020-01-01 11:00 is 7,200 s after"):
        FeaturePipeline().transform(grid.drop(grid.index[10]).rename_axis("timestamp"))
    with pytest.raises(DataError, match="rows 15m apart"):
        FeaturePipeline(interval="15m").transform(grid)
    with pytest.raises(DataError, match="indexed by open time"):
        FeaturePipeline().transform(grid.reset_index(drop=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ("rsj",)}, "Unknown feature 'rsj'. Hint: use rsi"),
        ({"features": ("qqqqqq",)}, "choose from log_return"),
        ({"features": ("rsi", "rsi")}, "features contains rsi more than once"),
        ({"lag_windows": (0,)}, "lag_windows contains 0"),
        ({"lag_windows": (2, 2)}, "lag_windows contains 2 more than once"),
        ({"rolling_windows": (1,)}, "rolling_windows contains 1"),
        ({"rolling_windows": (2.5,)}, "rolling_windows contains 2.5"),
        ({"features": ()}, "No feature remains"),
    ],
)
def test_invalid_options_are_rejected(options, message):
    with pytest.raises(ConfigError, match=message):
        FeaturePipeline(**options)


def test_a_pipeline_survives_the_round_trip_through_json():
    chosen = FeaturePipeline(("rsi", "log_return", "return_std"), (2, 5), (9,), "15m")
    stored = json.loads(json.dumps(chosen.to_dict()))
    again = FeaturePipeline.from_dict(stored)
    assert again == chosen
    assert again.feature_names == ("rsi", "log_return_2", "log_return_5", "return_std_9")
    assert pickle.loads(pickle.dumps(chosen)) == chosen


def test_a_pipeline_of_another_library_version_is_rejected():
    with pytest.raises(DataError, match="library version 0"):
        FeaturePipeline.from_dict({**FeaturePipeline().to_dict(), "library_version": 0})
    half = FeaturePipeline().to_dict()
    del half["interval"]
    with pytest.raises(DataError, match="has no interval"):
        FeaturePipeline.from_dict(half)


def test_target_matches_hand_worked_values():
    grid = make_grid(5)
    grid["close"] = [1.0, 2.0, np.nan, 8.0, 4.0]
    found = log_return_target(grid, 1)
    assert found.dtype == np.float64
    assert found.index.equals(grid.index)
    np.testing.assert_allclose(found, [np.log(2), np.nan, np.nan, -np.log(2), np.nan])
    np.testing.assert_allclose(log_return_target(grid, 3), [np.log(8), np.log(2), np.nan, np.nan, np.nan])
    assert log_return_target(grid, 5).isna().all()
    assert log_return_target(grid, 50).isna().all()
    with pytest.raises(ConfigError):
        log_return_target(grid, 0)


def test_the_target_of_a_row_is_the_return_of_the_next_row():
    """The feature `log_return_1` at t + 1 equals the target at t."""
    grid = make_grid(400)
    target = log_return_target(grid, 1)
    assert target.iloc[10] == pytest.approx(np.log(grid["close"].iloc[11] / grid["close"].iloc[10]))
    found = FeaturePipeline().transform(grid)
    assert found["log_return_1"].iloc[11] == pytest.approx(target.iloc[10], rel=1e-6)
