"""Prints the hold-out skill of forecasts by `cryptoml train` and by other libraries: `make bench-forecasts`.

The same learners (ridge regression and XGBoost, with the parameters of cryptoml), the same training part, and the same
forecasts: the return over the horizon, from every horizon-th candle of the hold-out, the newest 1,000 of them.
skforecast and mlforecast use lags of the return and forecast candle by candle. They are installed into an environment
of their own (`--environment`, created if it is missing). Without files, the candles are simulated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.intervals import markets
from benchmarks.peers import environment
from benchmarks.points import OPTIONS
from cryptoml.data.candles import Candles
from cryptoml.data.grid import to_grid
from cryptoml.evaluation.folds import rows
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.zoo import MODELS
from cryptoml.training.cross_validate import engine_for, plan_for, train_models
from cryptoml.training.dataset import build_dataset
from cryptoml.training.results import ModelChoice, ModelResult

HERE = Path(__file__).resolve().parent
REQUIREMENTS = ("skforecast==0.19.1", "mlforecast==1.1.0", "xgboost<3.2", "scikit-learn<1.8", "pandas<3")
LEARNERS = ("ridge", "xgb")
LAGS, NEWEST = 24, 1000


def compared(candles: Candles, horizon: int, python: Path) -> dict[str, float]:
    """Return the skill by method, in percent."""
    dataset = build_dataset(candles, FeaturePipeline(interval=candles.interval.label), horizon=horizon)
    plan = plan_for(dataset, ratio=0.8, n_folds=5, gap_candles=None)
    held = rows(dataset.index, plan.test)
    grid = to_grid(candles.frame, candles.interval, max_no_trade_candles=dataset.max_no_trade_candles)
    # The other libraries know no gaps: nothing happens in them.
    returns = np.log(grid["close"].ffill()).diff().fillna(0.0).to_numpy()
    first = grid.index.get_loc(dataset.index[held.start])
    count = (len(returns) - 1 - first) // horizon
    origins = first + horizon * np.arange(max(count - NEWEST, 0), count)
    params = {key: MODELS[key].parameters().model_dump() for key in LEARNERS}
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder, "given.npz"), Path(folder, "answer.npz")
        np.savez(given, returns=returns, origins=origins, train_until=grid.index.searchsorted(plan.train.end),
                 horizon=horizon, lags=LAGS)  # fmt: skip
        Path(folder, "params.json").write_text(json.dumps(params))
        subprocess.run([python, HERE / "forecasts_script.py", given, Path(folder, "params.json"), answer], check=True)
        other = dict(np.load(answer).items())
    found: dict[str, np.ndarray] = {}
    choices = [ModelChoice(MODELS[key], params[key]) for key in LEARNERS]
    with engine_for(dataset, OPTIONS) as engine:
        for one in train_models(dataset, plan, choices, OPTIONS, engine):
            assert isinstance(one, ModelResult)
            forecast = one.predictions.loc[one.predictions["part"] == "holdout", "forecast_return"]
            found[f"cryptoml, {one.choice.spec.key}"] = forecast.reindex(grid.index[origins]).to_numpy()
    found |= other
    # Only the candles that all methods forecast from.
    actual = dataset_returns(dataset.target, dataset.index, grid.index[origins])
    used = ~np.isnan(actual) & ~np.isnan(np.column_stack(list(found.values()))).any(axis=1)
    power = np.mean(actual[used] ** 2)
    return {
        name: float(100 * (1 - np.sqrt(np.mean((actual - forecast)[used] ** 2) / power)))
        for name, forecast in found.items()
    }


def dataset_returns(target: np.ndarray, index: object, times: object) -> np.ndarray:
    """Return the targets at some times, NaN where there is none."""
    import pandas as pd

    values: np.ndarray = pd.Series(target, index=index).reindex(times).to_numpy()  # type: ignore[call-overload]
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="candle files")
    parser.add_argument("--horizons", default="1,6,24")
    parser.add_argument("--environment", type=Path, default=Path(".venv-forecasts"))
    options = parser.parse_args()
    python = environment(options.environment, REQUIREMENTS)
    for place, (name, candles) in enumerate(markets(options.files)):
        for horizon in map(int, options.horizons.split(",")):
            skills = compared(candles, horizon, python)
            if not place and horizon == int(options.horizons.split(",")[0]):
                print(f"| market, until | horizon | {' | '.join(skills)} |\n|---|---|{'---|' * len(skills)}")
            print(f"| {name} | {horizon} | {' | '.join(f'{value:+.3f}' for value in skills.values())} |", flush=True)


if __name__ == "__main__":
    main()
