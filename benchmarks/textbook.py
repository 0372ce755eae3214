"""The textbook way to do what `cryptoml train` does: a plain script, one thing after the other.

Same candles, features, models, parameters, folds, metrics and plots; `mlflow.log_param` one by one and
`mlflow.sklearn.log_model` with its defaults. It is what one writes after reading the libraries' tutorials, and
what `benchmarks/run.py` measures `cryptoml train` against.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

PHASES: dict[str, float] = {}


class phase:
    """Adds the time spent inside to PHASES[name]."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *ignored: object) -> None:
        PHASES[self.name] = PHASES.get(self.name, 0.0) + time.perf_counter() - self.started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("settings", type=Path, help="JSON: params per model, folds, seed")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    asked = json.loads(options.settings.read_text())

    with phase("imports"):
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
        import mlflow
        import numpy as np
        import pandas as pd
        from sklearn.ensemble import (
            GradientBoostingRegressor,
            HistGradientBoostingRegressor,
            RandomForestRegressor,
        )
        from sklearn.linear_model import Ridge
        from sklearn.metrics import mean_absolute_error, mean_absolute_percentage_error, r2_score
        from sklearn.metrics import root_mean_squared_error as rmse
        from sklearn.model_selection import TimeSeriesSplit
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from xgboost import XGBRegressor

    with phase("data and features"):
        from cryptoml.data.candles import read_candles
        from cryptoml.features.pipeline import FeaturePipeline
        from cryptoml.training.dataset import build_dataset

        data = build_dataset(read_candles(options.data), FeaturePipeline(), horizon=1)
        X, y = data.features, pd.Series(data.target, index=data.index)
        price = pd.Series(data.price_now, index=data.index)
        cut = int(len(X) * asked["ratio"])
        X_train, y_train, X_test, y_test = X[: cut - 1], y[: cut - 1], X[cut:], y[cut:]

    makers = {
        "rf": RandomForestRegressor,
        "gbm": HistGradientBoostingRegressor if len(X_train) > 10_000 else GradientBoostingRegressor,
        "ridge": Ridge,
        "xgb": XGBRegressor,
    }

    def scores(rows: pd.DatetimeIndex, forecast: np.ndarray, actual: pd.Series) -> dict[str, float]:
        now = price.loc[rows].to_numpy()
        truth, guess = now * np.exp(actual.to_numpy()), now * np.exp(forecast)
        return {
            "rmse": rmse(truth, guess),
            "mae": mean_absolute_error(truth, guess),
            "mape": 100 * mean_absolute_percentage_error(truth, guess),
            "r2_score": r2_score(truth, guess),
        }

    def clipped(values: pd.Series) -> pd.Series:
        bound = asked["clip_sigma"] * values.std()
        return values.clip(-bound, bound)

    with phase("store"):
        mlflow.set_tracking_uri(f"sqlite:///{options.folder / 'mlflow.db'}")
        mlflow.set_experiment("crypto-price-prediction")
    for name in asked["models"]:
        with mlflow.start_run(run_name=name):
            params = asked["params"][name]
            with phase("log params and metrics"):
                for key, value in params.items():
                    mlflow.log_param(key, value)
                for key, value in asked["shared_params"].items():
                    mlflow.log_param(key, value)

            folds, targets, raws = [], [], []
            for number, (fit, check) in enumerate(TimeSeriesSplit(asked["folds"], gap=1).split(X_train), 1):
                with phase(f"fit {name}"):
                    model = make_pipeline(StandardScaler(), makers[name](**asked["estimator_params"][name]))
                    model.fit(X_train.iloc[fit], clipped(y_train.iloc[fit]))
                    raw = model.predict(X_train.iloc[check])
                targets.append(y_train.iloc[check].to_numpy())
                raws.append(raw)
                found = scores(X_train.index[check], raw, y_train.iloc[check])
                folds.append(found["rmse"])
                with phase("log params and metrics"):
                    for key, value in found.items():
                        mlflow.log_metric(f"cv_{key}", value, step=number)
            target, raw = np.concatenate(targets), np.concatenate(raws)
            slope = float(np.clip(target @ raw / max(raw @ raw, 1e-30), 0, 1))

            with phase(f"fit {name}"):
                model = make_pipeline(StandardScaler(), makers[name](**asked["estimator_params"][name]))
                model.fit(X_train, clipped(y_train))
                on_train, on_test = slope * model.predict(X_train), slope * model.predict(X_test)
            with phase("log params and metrics"):
                mlflow.log_metric("cv_rmse_mean", float(np.mean(folds)))
                mlflow.log_metric("cv_rmse_std", float(np.std(folds)))
                for prefix, rows, guess, actual in (
                    ("train", X_train.index, on_train, y_train),
                    ("test", X_test.index, on_test, y_test),
                ):
                    for key, value in scores(rows, guess, actual).items():
                        mlflow.log_metric(f"{prefix}_{key}", value)
            with phase("plots and files"), tempfile.TemporaryDirectory() as text:
                folder = Path(text)
                now = price.loc[X_test.index].to_numpy()
                truth, guess = now * np.exp(y_test.to_numpy()), now * np.exp(on_test)
                for title in ("actual_vs_predicted", "residuals", "importance", "folds"):
                    figure, axes = plt.subplots(figsize=(14, 9))
                    if title == "actual_vs_predicted":
                        axes.plot(X_test.index, truth, label="actual")
                        axes.plot(X_test.index, guess, label="predicted")
                        axes.legend()
                    elif title == "residuals":
                        axes.scatter(X_test.index, truth - guess, s=3)
                    elif title == "importance":
                        last = model[-1]
                        weights = getattr(last, "feature_importances_", getattr(last, "coef_", np.zeros(X.shape[1])))
                        axes.barh(X.columns, np.abs(weights))
                    else:
                        axes.bar(range(1, len(folds) + 1), folds)
                    axes.set_title(f"{name}: {title}")
                    figure.savefig(folder / f"{title}.png", dpi=100)
                    plt.close(figure)
                pd.DataFrame({"actual": truth, "predicted": guess}, index=X_test.index).to_csv(
                    folder / "predictions.csv.gz"
                )
                mlflow.log_artifacts(folder)
            with phase("log model"):
                # The format of most tutorials; with the current default, forests are refused as untrusted.
                mlflow.sklearn.log_model(
                    model, name="model", input_example=X_test.head(5), serialization_format="cloudpickle"
                )
    json.dump(PHASES, sys.stdout)


if __name__ == "__main__":
    main()
