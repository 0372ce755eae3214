"""The backtest: positions, costs, random times and the Sharpe ratio, compared with calculations by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from cryptoml.evaluation.backtest import TradingRules, backtest, max_drawdown, net_returns
from cryptoml.evaluation.sharpe import sharpe_ratio

HOUR = pd.Timedelta(hours=1)
FREE = TradingRules(0, 0, "none")


def holdout(prices: list[float], forecasts: list[float], *, hours: list[int] | None = None) -> pd.DataFrame:
    hours = hours or list(range(len(prices)))
    now = np.array(prices)
    forecast_price = now * np.exp(forecasts)
    return pd.DataFrame(
        {
            "price_now": now,
            "forecast_return": forecasts,
            "lower_price": forecast_price * 0.99,
            "upper_price": forecast_price * 1.01,
        },
        index=pd.DatetimeIndex([pd.Timestamp("2026-01-01", tz="UTC") + hour * HOUR for hour in hours]),
    )


def random_walk(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    steps = np.random.default_rng(seed).normal(0, 0.01, n)
    return 100 * np.exp(np.cumsum(steps)), np.append(steps[1:], 0.0)


def test_a_position_earns_the_return_of_its_candle_and_pays_for_each_change():
    found = backtest(holdout([100, 110, 99, 99], [0.1, -0.1, 0.0, 0.3]), TradingRules(40, 10, "none"),
                     horizon=1, step=HOUR)  # fmt: skip
    # Buy, sell twice as much, close: 4 units of value at 0.5 %.
    by_hand = (1 + 0.1 - 0.005) * (1 + 0.1 - 0.01) * (1 - 0.005)
    assert found.net_return == pytest.approx(by_hand - 1)
    assert found.gross_return == pytest.approx(1.1 * 1.1 - 1)
    assert found.n_trades == 3
    assert found.exposure == pytest.approx(2 / 3)
    assert found.hold_return == pytest.approx((1 + 0.1 - 0.005) * 0.9 * (1 - 0.005) - 1)
    assert list(found.equity) == pytest.approx([1, 1.095, 1.095 * 1.09, by_hand])


def test_the_last_forecast_is_not_traded_because_its_outcome_is_not_in_the_hold_out():
    small, large = (backtest(holdout([100, 101, 102], [0.1, 0.1, last]), FREE, horizon=1, step=HOUR)
                    for last in (-9.0, 9.0))  # fmt: skip
    assert small.net_return == large.net_return


def test_forecasts_of_several_candles_share_the_capital():
    found = backtest(holdout([100, 110, 121], [0.1, 0.1, 0.1]), FREE, horizon=2, step=HOUR)
    assert found.net_return == pytest.approx(1.05 * 1.1 - 1)


def test_the_threshold_of_costs_is_that_of_buying_and_selling():
    rows = holdout([100, 101, 102, 103], [0.0041, 0.0039, 0.0, 0.0])
    found = backtest(rows, TradingRules(15, 5, "cost"), horizon=1, step=HOUR)
    assert found.exposure == pytest.approx(1 / 3)


def test_the_threshold_of_the_interval_needs_both_bounds_on_one_side():
    rows = holdout([100, 101, 102, 103], [0.02, 0.005, -0.02, 0.0])
    assert backtest(rows, TradingRules(0, 0, "interval"), horizon=1, step=HOUR).exposure == pytest.approx(2 / 3)


def test_long_only_stays_out_where_the_price_is_forecast_to_fall():
    found = backtest(holdout([100, 90, 81], [-0.1, -0.1, -0.1]), TradingRules(10, 2, "none", short=False),
                     horizon=1, step=HOUR)  # fmt: skip
    assert (found.n_trades, found.net_return) == (0, 0.0)
    assert math.isnan(found.p_random)
    assert math.isnan(found.break_even_fee_bps)
    assert math.isnan(found.sharpe.value)


def test_a_position_is_held_while_prices_are_missing():
    found = backtest(holdout([100, 110, 121], [0.1, 0.1, 0.0], hours=[0, 1, 5]), FREE, horizon=1, step=HOUR)
    assert found.net_return == pytest.approx(0.21)
    assert len(found.equity) == 6


def test_a_short_position_cannot_lose_more_than_the_capital():
    found = backtest(holdout([100, 300, 100], [-0.1, -0.1, 0.0]), FREE, horizon=1, step=HOUR)
    assert (found.net_return, found.max_drawdown) == (-1.0, 1.0)


def test_nothing_is_earned_at_the_break_even_fee():
    prices, following = random_walk(500)
    rows = holdout(list(prices), list(following + np.random.default_rng(1).normal(0, 0.02, 500)))
    found = backtest(rows, TradingRules(0, 1, "none"), horizon=1, step=HOUR)
    assert found.break_even_fee_bps > 0
    at_it = backtest(rows, TradingRules(found.break_even_fee_bps, 1, "none"), horizon=1, step=HOUR)
    assert at_it.net_return == pytest.approx(0, abs=1e-8)


def test_trades_without_information_are_like_trades_at_random_times():
    prices, _ = random_walk(2000)
    p_values = [
        backtest(holdout(list(prices), list(np.random.default_rng(seed).normal(size=2000))), TradingRules(5, 0, "none"),
                 horizon=1, step=HOUR).p_random
        for seed in range(20)
    ]  # fmt: skip
    assert min(p_values) < 0.4 < max(p_values)
    assert 0.3 < np.mean(p_values) < 0.7
    assert np.mean([p < 0.05 for p in p_values]) <= 0.2


def test_trades_that_know_the_future_are_not_chance():
    prices, following = random_walk(500)
    found = backtest(holdout(list(prices), list(following)), TradingRules(5, 0, "none"), horizon=1, step=HOUR)
    assert found.p_random == pytest.approx(1 / 1001)
    assert found.net_return > found.random_high > found.random_median
    assert found.sharpe.deflated > 0.99


def test_the_markets_of_a_pool_have_equal_capital():
    one, other = holdout([100, 110, 121], [0.1] * 3), holdout([50, 45, 45], [-0.1] * 3)
    rows = pd.concat([one.assign(symbol="AAAUSDT"), other.assign(symbol="BBBUSDT")]).sort_index(kind="stable")
    found = backtest(rows, FREE, horizon=1, step=HOUR)
    assert found.net_return == pytest.approx(1.1 * 1.05 - 1)
    assert found.hold_return == pytest.approx(1.0 * 1.05 - 1)


def test_costs_are_of_the_mean_position_of_all_markets():
    returns, positions = np.zeros((2, 2)), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert net_returns(returns, positions, 0.01) == pytest.approx([-0.005, -0.005])


def test_the_drawdown_is_relative_to_the_highest_capital_before():
    assert max_drawdown(pd.Series([1.0, 2.0, 1.5, 3.0, 1.8])) == pytest.approx(0.4)


def test_the_standard_error_of_the_sharpe_ratio_is_that_of_many_samples():
    rng = np.random.default_rng(3)
    samples = [sharpe_ratio(rng.normal(0.05, 1, 400), 100) for _ in range(400)]
    assert np.std([one.value for one in samples]) == pytest.approx(samples[0].standard_error, rel=0.15)
    assert samples[0].value == pytest.approx(0.5, abs=4 * samples[0].standard_error)


def test_the_best_of_several_models_without_skill_is_not_believed():
    rng = np.random.default_rng(4)
    believed = {1: 0, 10: 0}
    for _ in range(200):
        best = max((rng.normal(size=300) for _ in range(10)), key=lambda sample: sample.mean() / sample.std())
        for n_models in believed:
            believed[n_models] += sharpe_ratio(best, 100, n_models=n_models).deflated > 0.95
    assert believed[1] > 60
    assert believed[10] <= 22
