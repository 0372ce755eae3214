"""The simulated market has the stated predictability and the stylised facts of real markets."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.simulation import process
from cryptoml.data.simulation.simulate import simulate, write_simulation
from cryptoml.errors import UsageError


def next_returns(simulation):
    """Return (return of the next candle, its expectation), aligned."""
    returns = np.log(simulation.frame["close"]).diff().to_numpy()[1:]
    return returns, simulation.truth["expected_return"].to_numpy()[:-1]


def r2(returns, forecast):
    return 1 - ((returns - forecast) ** 2).sum() / (returns**2).sum()


@pytest.mark.parametrize("signal", [0.01, 0.05, 0.3])
def test_the_best_possible_r2_is_the_signal(signal):
    found = [r2(*next_returns(simulate(years=5, signal=signal, seed=seed))) for seed in range(12)]
    # At 0.01 and five years of hours the standard deviation is 0.0015 (500 seeds); it grows with the signal's root.
    scatter = 0.015 * np.sqrt(signal)
    assert np.abs(np.array(found) - signal).max() < 4 * scatter
    assert np.mean(found) == pytest.approx(signal, abs=4 * scatter / np.sqrt(12))


def test_no_scaling_of_the_expectation_improves_the_r2():
    for seed in range(5):
        returns, expected = next_returns(simulate(years=5, signal=0.05, seed=seed))
        assert (returns @ expected) / (expected @ expected) == pytest.approx(1, abs=0.2)


def test_the_predictable_part_has_mean_0_and_variance_1():
    shocks = process.draw_shocks(2_000_000, np.random.default_rng(1))
    assert shocks.var() == pytest.approx(1, abs=0.01)
    known = process.predictable(shocks)
    assert known.mean() == pytest.approx(0, abs=0.005)
    assert known.var() == pytest.approx(1, abs=0.01)
    assert known.size == shocks.size - process.SEEN_SHOCKS + 1


def test_the_expectation_depends_only_on_past_shocks():
    """Changing the shocks from a candle on changes no expectation at earlier candles."""
    shocks = process.draw_shocks(500, np.random.default_rng(1))
    other = shocks.copy()
    other[200:] *= -3
    # The expectation at position i is computed from the shocks i to i + 5.
    before, after = process.predictable(shocks), process.predictable(other)
    assert (before[:195] == after[:195]).all()
    assert before[195] != after[195]


def test_the_predictable_part_has_a_linear_and_a_nonlinear_component():
    returns, expected = next_returns(simulate(years=5, signal=0.05, seed=3))
    known = expected / simulate(years=5, signal=0.05, seed=3).truth["volatility"].to_numpy()[:-1]
    scaled = returns / pd.Series(np.abs(returns)).ewm(span=24).mean().to_numpy()
    past = np.column_stack([scaled[2 - lag : scaled.size - lag] for lag in range(3)])
    # scaled[i] belongs to the candle after row i, so it is known at row i + 1.
    seen = known[3 : 3 + len(past) - 1]
    weights, residual, *_ = np.linalg.lstsq(past[: len(seen)], seen, rcond=None)
    assert (weights < 0).all()
    explained = 1 - residual[0] / (seen**2).sum()
    assert 0.5 < explained < 0.9


def test_a_signal_of_0_is_a_random_walk():
    simulation = simulate(years=5, signal=0, seed=4)
    assert (simulation.truth["expected_return"] == 0).all()
    returns, _ = next_returns(simulation)
    shocks = returns / simulation.truth["volatility"].to_numpy()[:-1]
    bound = 4 / np.sqrt(shocks.size)
    for lag in (1, 2, 3, 6, 12, 24, 168):
        assert abs(np.corrcoef(shocks[lag:], shocks[:-lag])[0, 1]) < bound
    assert abs(shocks.mean()) < bound
    assert shocks.var() == pytest.approx(1, abs=0.06)


def test_tails_are_fat_and_volatility_clusters():
    frame = simulate(years=5, seed=5).frame
    returns = np.log(frame["close"]).diff().dropna()
    assert returns.kurt() > 3
    # Clustering alone makes the tails fat; the shocks add an excess kurtosis of 3 (in theory).
    assert pd.Series(process.draw_shocks(200_000, np.random.default_rng(5))).kurt() > 1.5
    size = returns.abs()
    assert size.autocorr(1) > 0.15
    assert size.autocorr(24 * 5) > 0.03
    assert returns.std() * np.sqrt(365.25 * 24) == pytest.approx(0.8, abs=0.25)


def test_volatility_and_volume_depend_on_the_hour_and_the_weekend():
    frame = simulate(years=5, seed=6).frame
    size = np.log(frame["close"]).diff().abs()
    for series in (size, frame["volume"]):
        by_hour = series.groupby(frame.index.hour).median()
        assert by_hour[15] > 1.3 * by_hour[3]
        weekend = frame.index.dayofweek >= 5
        assert series[weekend].median() < 0.9 * series[~weekend].median()


def test_volume_grows_with_volatility_and_with_the_return():
    simulation = simulate(years=2, seed=6)
    frame = simulation.frame
    width = np.log(frame["high"] / frame["low"])
    assert width.corr(frame["volume"], method="spearman") > 0.5
    # At equal volatility, a larger return has a higher volume.
    volatility = simulation.truth["volatility"].shift()
    surprise = np.log(frame["close"]).diff().abs() / volatility
    assert surprise.corr(frame["volume"] / volatility**1.2, method="spearman") > 0.3
    assert (frame["volume"] > 0).all()


@pytest.mark.parametrize("price", [1e-5, 0.4, 10_000.0, 1e8])
def test_candles_are_consistent(price):
    frame = simulate(candles=20_000, signal=0.01, seed=9, price=price).frame
    assert frame["open"].iloc[0] == pytest.approx(price)
    assert (frame.to_numpy() > 0).all()
    assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
    assert (frame["open"].to_numpy()[1:] == frame["close"].to_numpy()[:-1]).all()


def test_the_mean_range_is_that_of_a_brownian_path():
    simulation = simulate(years=5, seed=2)
    frame, width = simulation.frame, simulation.truth["volatility"].to_numpy()[:-1]
    log_range = np.log(frame["high"] / frame["low"]).to_numpy()[1:]
    # Feller (1951): the mean range of a Brownian path is sqrt(8 / pi) standard deviations.
    assert (log_range / width).mean() == pytest.approx(np.sqrt(8 / np.pi), rel=0.05)


def test_the_index_is_a_regular_grid():
    simulation = simulate(interval="15m", candles=1_000, start="2022-05-01 12:00")
    index = simulation.frame.index
    assert index.equals(pd.date_range("2022-05-01 12:00", periods=1_000, freq="15min", tz="UTC", name="timestamp"))
    assert index.name == "timestamp"
    assert simulation.truth.index.equals(index)
    assert simulation.truth.notna().all().all()
    assert list(simulation.frame.columns) == ["open", "high", "low", "close", "volume"]


def test_years_are_converted_to_candles_and_long_series_start_earlier():
    assert len(simulate(years=5).frame) == 43_830
    assert simulate(years=5).frame.index[0] == pd.Timestamp("2019-01-01", tz="UTC")
    assert len(simulate(years=5, interval="1d").frame) == 1_826
    long = simulate(years=12, interval="1d").frame.index
    assert long[-1] < pd.Timestamp("2025-01-01", tz="UTC")
    assert long[0] < pd.Timestamp("2013-01-02", tz="UTC")


def test_the_seed_determines_the_result():
    first, again, other = (simulate(candles=500, signal=0.02, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first.frame, again.frame, check_exact=True)
    pd.testing.assert_frame_equal(first.truth, again.truth, check_exact=True)
    assert not np.allclose(first.frame["close"], other.frame["close"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"years": 1, "candles": 5},
        {"years": 0},
        {"years": -1},
        {"candles": 1},
        {"years": 21},
        {"years": float("nan")},
        {"candles": 100, "signal": -0.1},
        {"candles": 100, "signal": 0.6},
        {"candles": 100, "signal": float("nan")},
        {"candles": 100, "seed": -1},
        {"candles": 100, "price": 0},
        {"candles": 100, "price": float("inf")},
        {"candles": 100, "symbol": " "},
        {"candles": 100, "start": "yesterday-ish"},
        {"candles": 100, "start": ""},
        {"candles": 100_000, "start": "2262-01-01"},
        {"years": 20, "interval": "1m"},
    ],
)
def test_invalid_arguments_are_rejected(options):
    with pytest.raises(UsageError):
        simulate(**options)


@pytest.mark.parametrize("name", ["sim.csv", "sim.csv.gz", "sim.parquet", "BTC.v2.csv"])
def test_candles_truth_and_readme_are_written(tmp_path, name):
    simulation = simulate(symbol="DEMO", candles=400, signal=0.02, seed=8)
    candles = tmp_path / "new" / name
    truth = write_simulation(simulation, candles)
    note = truth.with_name(truth.name.replace(".truth.csv", ".README.txt"))
    stem = {"BTC.v2.csv": "BTC.v2"}.get(name, "sim")
    assert (truth.name, note.name) == (f"{stem}.truth.csv", f"{stem}.README.txt")
    assert sorted(p.name for p in candles.parent.iterdir()) == sorted([name, truth.name, note.name])

    read = pd.read_parquet(candles) if name.endswith("parquet") else pd.read_csv(candles)
    assert (read["symbol"] == "DEMO").all()
    assert read["close"].to_numpy().tolist() == simulation.frame["close"].tolist()
    answers = pd.read_csv(truth, index_col="timestamp", parse_dates=True)
    assert list(answers.columns) == ["expected_return", "volatility"]
    assert (answers.index == simulation.truth.index).all()
    np.testing.assert_allclose(answers, simulation.truth, rtol=1e-9)

    text = note.read_text()
    assert "SIMULATED" in text
    assert all(word in text for word in ("DEMO", "0.02", "1h", name))

    def digest():
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in (candles, truth, note)]

    first = digest()
    write_simulation(simulate(symbol="DEMO", candles=400, signal=0.02, seed=8), candles)
    assert digest() == first


def test_written_candles_are_read_without_findings(tmp_path):
    from cryptoml.data.candles import read_candles

    simulation = simulate(symbol="DEMO", years=1, signal=0.02, seed=8)
    write_simulation(simulation, tmp_path / "demo.csv")
    read = read_candles(tmp_path / "demo.csv")
    assert (read.symbol, read.interval.label) == ("DEMO", "1h")
    assert not read.report.findings
    pd.testing.assert_frame_equal(read.frame, simulation.frame, check_freq=False)
