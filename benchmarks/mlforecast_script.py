"""mlforecast's lags and rolling means and standard deviations; runs in the environment of `benchmarks.peers`.

Arguments: a file of log returns (numpy), the lags and the windows, both separated by commas. Prints the seconds of the
fastest of five runs, without imports.
"""

from __future__ import annotations

import sys
import time


def main() -> None:
    import numpy as np
    import pandas as pd
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean, RollingStd

    returns = np.load(sys.argv[1])
    lags, windows = (list(map(int, text.split(","))) for text in sys.argv[2:4])
    frame = pd.DataFrame(
        {"unique_id": "BTC", "ds": pd.date_range("2015-01-01", periods=len(returns), freq="min"), "y": returns}
    )
    rolling = [kind(window) for window in windows for kind in (RollingMean, RollingStd)]
    times = []
    for _ in range(5):
        forecast = MLForecast(models=[], freq="min", lags=lags, lag_transforms={1: rolling}, num_threads=1)
        started = time.perf_counter()
        forecast.preprocess(frame, dropna=False)
        times.append(time.perf_counter() - started)
    print(min(times))


if __name__ == "__main__":
    main()
