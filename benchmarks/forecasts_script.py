"""Forecasts of the return by other libraries, for `benchmarks.forecasts`; runs in an environment of its own.

Arguments: an .npz file with log returns, origins and the end of the training part, a file with the parameters of the
learners, and the file for the answer: the forecast of the return over the horizon at each origin, by method.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from mlforecast import MLForecast
from skforecast.model_selection import TimeSeriesFold, backtesting_forecaster
from skforecast.recursive import ForecasterRecursive
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor


def learners(params: dict[str, dict[str, object]]) -> dict[str, object]:
    return {
        "ridge": make_pipeline(StandardScaler(), Ridge(**params["ridge"])),
        "xgb": XGBRegressor(**params["xgb"], tree_method="hist", max_bin=64, random_state=42, n_jobs=2),
    }


def skforecast(learner: object, given: dict[str, np.ndarray]) -> np.ndarray:
    """Return the forecasts of a recursive forecaster that is fitted once, on the training part."""
    origins, horizon, lags = given["origins"], int(given["horizon"]), int(given["lags"])
    # Everything before the first origin would be the training part; the rows between are not fitted.
    series = pd.Series(given["returns"])
    forecaster = ForecasterRecursive(learner, lags=lags)
    forecaster.fit(series[: int(given["train_until"])])
    windows = series.iloc[origins[0] + 1 - lags : origins[-1] + 1 + horizon].reset_index(drop=True)
    cv = TimeSeriesFold(steps=horizon, initial_train_size=None, refit=False)
    _, found = backtesting_forecaster(forecaster, windows, cv, metric="mean_squared_error", show_progress=False)
    return found["pred"].to_numpy()[: len(origins) * horizon].reshape(-1, horizon).sum(axis=1)


def mlforecast(models: dict[str, object], given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the forecasts of each model, fitted once on the training part."""
    origins, horizon, lags = given["origins"], int(given["horizon"]), int(given["lags"])
    returns = given["returns"]
    frame = pd.DataFrame({"unique_id": "one", "ds": np.arange(len(returns)), "y": returns})
    forecast = MLForecast(models=models, freq=1, lags=list(range(1, lags + 1)))
    forecast.fit(frame[: int(given["train_until"])])
    found = {name: [] for name in models}
    for origin in origins:
        table = forecast.predict(horizon, new_df=frame.iloc[origin + 1 - 2 * lags : origin + 1])
        for name in models:
            found[name].append(table[name].sum())
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    warnings.simplefilter("ignore")
    given = dict(np.load(sys.argv[1]).items())
    params = json.loads(Path(sys.argv[2]).read_text())
    found = {f"skforecast, {name}": skforecast(learner, given) for name, learner in learners(params).items()}
    found |= {f"mlforecast, {name}": values for name, values in mlforecast(learners(params), given).items()}
    np.savez(sys.argv[3], **found)


if __name__ == "__main__":
    main()
