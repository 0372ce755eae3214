"""A backtest: what trading on stored forecasts would have earned after costs, and how much of it chance explains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cryptoml.evaluation.sharpe import SharpeRatio, sharpe_ratio

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

Threshold = Literal["cost", "interval", "none"]

BASIS_POINT = 1e-4
RANDOM_STARTS = 1000


@dataclass(frozen=True)
class TradingRules:
    """Costs of each bought or sold unit of value in basis points, and when to trade.

    threshold: trade on forecasts larger than the cost of buying and selling (cost), on those whose prediction interval
    is on one side of zero (interval), or on all (none). short: sell short on forecasts of a fall; else stay out.
    """

    fee_bps: float
    slippage_bps: float
    threshold: Threshold = "cost"
    short: bool = True

    @property
    def cost(self) -> float:
        """The cost of buying or of selling, as a fraction of the traded value."""
        return (self.fee_bps + self.slippage_bps) * BASIS_POINT


@dataclass(frozen=True)
class Backtest:
    """The outcome of trading on the forecasts of one run, as fractions of the capital at the start.

    equity, buy_and_hold: capital at the open of each candle, 1 at the start, after costs; of a pool, the mean of its
    markets. n_trades: number of changes of a position. turnover: traded value per year, in multiples of the capital.
    exposure: mean absolute position. break_even_fee_bps: fee at which the net return is zero; NaN if nothing is traded
    or even a trade without any cost loses. random_median, random_high: median and 95th percentile of the net return
    of the same positions at random times. p_random: share of those that earn at least as much.
    """

    equity: pd.Series[float]
    buy_and_hold: pd.Series[float]
    n_trades: int
    net_return: float
    gross_return: float
    sharpe: SharpeRatio
    buy_and_hold_sharpe: SharpeRatio
    max_drawdown: float
    turnover: float
    exposure: float
    break_even_fee_bps: float
    random_median: float
    random_high: float
    p_random: float

    @property
    def hold_return(self) -> float:
        """The net return of buying at the start and selling at the end."""
        return float(self.buy_and_hold.iloc[-1]) - 1


def backtest(
    holdout: pd.DataFrame, rules: TradingRules, *, horizon: int, step: pd.Timedelta, n_models: int = 1, seed: int = 0
) -> Backtest:
    """Trade on the forecasts of a hold-out; columns as in `ModelResult.predictions`, in time order.

    A forecast is held for its horizon: with a horizon of h candles, each forecast decides about 1 / h of the capital.
    While prices are missing, nothing is traded. All positions are closed at the last price. step: duration of a
    candle. n_models: number of models among which the run was chosen.
    """
    import numpy as np
    import pandas as pd

    prices, signals = _by_market(holdout, "price_now", step), _by_market(_with_signal(holdout, rules), "signal", step)
    returns = prices.ffill().pct_change(fill_method=None).fillna(0.0).to_numpy()[1:]
    wanted = signals.fillna(0.0).rolling(horizon, min_periods=1).sum() / horizon
    # The position between two prices; it cannot be changed where the price is missing.
    positions = wanted.where(prices.notna()).ffill().fillna(0.0).to_numpy()[:-1]
    in_a_year = pd.Timedelta(days=365) / step
    net = net_returns(returns, positions, rules.cost)
    gross = net_returns(returns, positions, 0.0)
    held = net_returns(returns, np.ones_like(positions), rules.cost)
    traded = np.abs(_changes(positions))
    random = _at_random_times(returns, positions, rules.cost, seed=seed)
    net_return = _total(net)
    capital = _equity(net, prices.index)
    return Backtest(
        equity=capital,
        buy_and_hold=_equity(held, prices.index),
        n_trades=int(np.count_nonzero(traded)),
        net_return=net_return,
        gross_return=_total(gross),
        sharpe=sharpe_ratio(net, in_a_year, n_models=n_models),
        buy_and_hold_sharpe=sharpe_ratio(held, in_a_year),
        max_drawdown=max_drawdown(capital),
        turnover=float(traded.sum() / positions.shape[1] * in_a_year / len(positions)),
        exposure=float(np.abs(positions).mean()),
        break_even_fee_bps=_break_even(returns, positions) / BASIS_POINT - rules.slippage_bps,
        random_median=float(np.median(random)) if traded.any() else 0.0,
        random_high=float(np.quantile(random, 0.95)) if traded.any() else 0.0,
        p_random=float((1 + np.sum(random >= net_return)) / (1 + len(random))) if traded.any() else math.nan,
    )


def net_returns(returns: Values, positions: Values, cost: float) -> Values:
    """Return the return of each candle after costs: the mean over the markets, which have equal capital.

    returns, positions: (candles, markets); a position is held during its candle, from -1 (short) to 1 (long), and
    closed after the last one. cost: of each bought or sold unit of value, a fraction.
    """
    import numpy as np

    costs = np.abs(_changes(positions)) * cost
    earned: Values = positions * returns - costs[:-1]
    earned[-1] -= costs[-1]
    mean: Values = earned.mean(axis=1)
    return mean


def max_drawdown(equity: pd.Series[float]) -> float:
    """Return the largest fall from an earlier high, as a fraction of the high."""
    return float((1 - equity / equity.cummax()).max())


def _with_signal(holdout: pd.DataFrame, rules: TradingRules) -> pd.DataFrame:
    """Add the column `signal`: 1 to be long during the horizon, -1 to be short, 0 to be out."""
    import numpy as np

    forecast = holdout["forecast_return"].to_numpy()
    signal = np.sign(forecast)
    if rules.threshold == "cost":
        signal[np.abs(np.expm1(forecast)) <= 2 * rules.cost] = 0.0
    elif rules.threshold == "interval":
        now = holdout["price_now"]
        signal[((holdout["lower_price"] <= now) & (holdout["upper_price"] >= now)).to_numpy()] = 0.0
    if not rules.short:
        signal = np.maximum(signal, 0.0)
    return holdout.assign(signal=signal)


def _by_market(rows: pd.DataFrame, column: str, step: pd.Timedelta) -> pd.DataFrame:
    """Return a column as one column per market, at all candle times from the first to the last row; NaN if missing."""
    import pandas as pd

    if "symbol" in rows:
        table = rows.set_index("symbol", append=True)[column].unstack("symbol")
    else:
        table = rows[column].to_frame("only")
    return table.reindex(pd.date_range(table.index[0], table.index[-1], freq=step))


def _changes(positions: Values) -> Values:
    """Return the traded value at each candle: from nothing to the first position, and from the last one to nothing."""
    import numpy as np

    nothing = np.zeros((1, positions.shape[1]))
    changes: Values = np.diff(positions, axis=0, prepend=nothing, append=nothing)
    return changes


def _equity(returns: Values, times: pd.Index) -> pd.Series[float]:
    import numpy as np
    import pandas as pd

    return pd.Series(np.concatenate([[1.0], np.cumprod(_factors(returns))]), index=times)


def _total(returns: Values) -> float:
    import numpy as np

    return float(np.prod(_factors(returns)) - 1)


def _factors(returns: Values) -> Values:
    """Return the growth of the capital in each candle; a short position may lose more than all of it."""
    import numpy as np

    return np.maximum(1 + returns, 0.0)


def _at_random_times(returns: Values, positions: Values, cost: float, *, seed: int) -> Values:
    """Return the net returns of the positions, moved by random numbers of candles, from the end to the start.

    Exposure, turnover and the times between trades stay the same, but not the relation to the price.
    """
    import numpy as np

    shifts = np.random.default_rng(seed).integers(1, max(len(positions), 2), size=RANDOM_STARTS)
    return np.array([_total(net_returns(returns, np.roll(positions, shift, axis=0), cost)) for shift in shifts])


def _break_even(returns: Values, positions: Values) -> float:
    """Return the cost per traded unit of value at which nothing is earned; NaN if there is none."""
    from scipy.optimize import brentq

    def earned(cost: float) -> float:
        return _total(net_returns(returns, positions, cost))

    if earned(0.0) <= 0:
        return math.nan
    if earned(1.0) >= 0:
        # So little is traded that no cost is too high.
        return 1.0
    found: float = brentq(earned, 0.0, 1.0)
    return found
