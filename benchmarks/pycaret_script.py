"""PyCaret's `compare_models` on the features and folds of `cryptoml train`; runs in an environment of its own.

Arguments: a file of features, their names and the target (numpy), and a JSON file with the share of the training part,
the number of folds, and the models: PyCaret's names, or the parameters of each estimator. Prints the scores.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    import numpy as np
    import pandas as pd
    from pycaret.regression import RegressionExperiment
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import TimeSeriesSplit
    from xgboost import XGBRegressor

    with np.load(sys.argv[1]) as arrays:
        table = pd.DataFrame(arrays["features"], columns=arrays["names"]).assign(target=arrays["target"])
    asked = json.loads(Path(sys.argv[2]).read_text())
    makers = {"rf": RandomForestRegressor, "gbm": HistGradientBoostingRegressor, "ridge": Ridge, "xgb": XGBRegressor}
    experiment = RegressionExperiment()
    experiment.setup(
        table, target="target", train_size=asked["ratio"], data_split_shuffle=False, verbose=False, html=False,
        fold_strategy=TimeSeriesSplit(asked["folds"]), session_id=asked["seed"], normalize=True, n_jobs=-1,
    )  # fmt: skip
    own = [makers[key](**params) for key, params in asked["estimator_params"].items()]
    experiment.compare_models(asked["names"] or own, sort="RMSE", verbose=False)
    print(experiment.pull().to_string())


if __name__ == "__main__":
    main()
