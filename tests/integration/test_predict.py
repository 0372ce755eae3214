"""Forecasts of stored models, their log, and the score once the truth is known."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryptoml.config.schema import Config
from cryptoml.errors import CheckFailedError, DataError, UnavailableError, UsageError
from cryptoml.models.prediction import Prediction
from cryptoml.tracking.forecast_log import open_forecast_log
from cryptoml.tracking.store.project_store import open_project_store
from cryptoml.workflows.monitor import MonitorRequest, MonitorResult, monitor
from cryptoml.workflows.predict import PredictRequest, predict
from cryptoml.workflows.promote import PromoteRequest, promote
from cryptoml.workflows.register import RegisterRequest, register
from tests.lab import Lab, config_of


@pytest.fixture
def config(request: pytest.FixtureRequest, lab: Lab) -> Config:
    found = config_of(request.node.name, gate={"min_skill": -1})
    register(RegisterRequest(lab.settings, found, lab.runs["ridge"]))
    promote(PromoteRequest(lab.settings, found, "1", "production", reason="first"))
    return found


def ask(lab: Lab, config: Config, **more: object) -> Prediction:
    return predict(PredictRequest(lab.settings, config, **{"stale_ok": True, **more}))  # type: ignore[arg-type]


def newest(lab: Lab) -> datetime:
    """When the newest candle ended."""
    opened = pd.to_datetime(pd.read_csv(lab.data)["timestamp"], utc=True).max()
    return opened.to_pydatetime() + timedelta(hours=1)


def test_the_next_candle(lab: Lab, config: Config) -> None:
    done = ask(lab, config)
    assert (done.model, done.version, done.symbol, done.interval) == ("v1", "1", "SIM", "1h")
    assert len(done.table) == 1
    row = done.table.iloc[0]
    assert row["made_at"] == pd.Timestamp(newest(lab))
    assert row["target_time"] - row["made_at"] == pd.Timedelta(hours=1)
    assert row["lower_price"] < row["forecast_price"] < row["upper_price"]
    assert row["forecast_price"] == pytest.approx(row["price_now"] * np.exp(row["forecast_return"]))
    assert row["price_now"] == pd.read_csv(lab.data)["close"].iloc[-1]


def test_many_are_the_same_as_one_by_one(lab: Lab, config: Config, tmp_path: Path) -> None:
    many = ask(lab, config, last=20).table
    frame = pd.read_csv(lab.data)
    for back in (0, 7, 19):
        cut = tmp_path / f"{back}.csv"
        frame.iloc[: len(frame) - back].to_csv(cut, index=False)
        one = ask(lab, config, data=cut).table
        pd.testing.assert_frame_equal(one, many.iloc[[19 - back]], check_exact=True, check_freq=False)


def test_every_way_to_name_a_model(lab: Lab, config: Config) -> None:
    prices = {
        ask(lab, config, model=name).table["forecast_price"].iloc[0]
        for name in ("production", "v1", "1", lab.runs["ridge"], lab.names["ridge"])
    }
    assert len(prices) == 1
    assert ask(lab, config, model=lab.names["xgb"]).table["forecast_price"].iloc[0] not in prices
    for name in ("staging", "v9", "nonsense", "0" * 32):
        with pytest.raises(UsageError):
            ask(lab, config, model=name)
    with pytest.raises(UsageError, match="must be at least 1"):
        ask(lab, config, last=0)


def test_stale_candles_are_refused(lab: Lab, config: Config) -> None:
    end = newest(lab)
    for hours in (0.5, 2):
        assert len(ask(lab, config, stale_ok=False, now=end + timedelta(hours=hours)).table) == 1
    with pytest.raises(DataError, match="3 candles ago"):
        ask(lab, config, stale_ok=False, now=end + timedelta(hours=3))
    with pytest.raises(DataError, match="at most 2 candles of"):
        predict(PredictRequest(lab.settings, config))


def test_candles_of_another_symbol_or_interval_are_refused(lab: Lab, config: Config, tmp_path: Path) -> None:
    frame = pd.read_csv(lab.data)
    few, other, four, gap = (tmp_path / f"{name}.csv" for name in ("few", "other", "four", "gap"))
    frame.tail(100).to_csv(few, index=False)
    with pytest.raises(DataError, match=r"100 candles; the features of v1 need \d+"):
        ask(lab, config, data=few)
    frame.assign(symbol="OTHER").to_csv(other, index=False)
    with pytest.raises(CheckFailedError, match="contains OTHER 1h candles; the registered models forecast SIM 1h"):
        ask(lab, config, data=other)
    frame.iloc[::4].to_csv(four, index=False)
    with pytest.raises(CheckFailedError, match="contains SIM 4h candles; the registered models forecast SIM 1h"):
        ask(lab, config, data=four)
    frame.drop(index=range(len(frame) - 60, len(frame) - 40)).to_csv(gap, index=False)
    with pytest.raises(DataError, match="there is a gap"):
        ask(lab, config, data=gap)
    found = ask(lab, config, data=gap, last=500)
    assert 0 < len(found.table) < 500
    assert found.skipped == 500 - len(found.table)


def test_pyfunc_alone_gives_the_same_numbers(lab: Lab, config: Config, tmp_path: Path) -> None:
    """In a fresh process, outside the project, with nothing but the registered model."""
    script = (
        "import json, os, sys; os.environ['MLFLOW_DISABLE_TELEMETRY'] = 'true'; import mlflow, pandas as pd; "
        "mlflow.set_tracking_uri(sys.argv[1]); mlflow.set_registry_uri(sys.argv[1]); "
        "model = mlflow.pyfunc.load_model(sys.argv[2]); frame = pd.read_csv(sys.argv[3]).tail(200); "
        "names = ['timestamp', 'open', 'high', 'low', 'close', 'volume']; "
        "print(json.dumps(model.predict(frame[names])['forecast_price'].tail(3).tolist()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, lab.settings.mlflow_uri(), f"models:/{config.registry.model_name}@production",
         str(lab.data)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    import json

    expected = ask(lab, config, last=3).table["forecast_price"].tolist()
    assert json.loads(done.stdout.strip().splitlines()[-1]) == expected


def test_a_forecast_is_logged_once(lab: Lab, config: Config) -> None:
    first = ask(lab, config, last=10, log=True)
    assert first.logged == 10
    assert ask(lab, config, last=12, log=True).logged == 2
    made = [ask(lab, config, last=30)]
    counts: list[int] = []

    def append() -> None:
        with open_forecast_log(lab.settings, config.registry.model_name) as log:
            counts.append(log.append(made[0]))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 0, 18]
    with open_forecast_log(lab.settings, config.registry.model_name) as log:
        kept = log.read(lab.runs["ridge"])
    assert len(kept) == 30
    assert kept["forecast_price"].tolist() == made[0].table["forecast_price"].tolist()


def test_a_log_that_is_not_a_database_is_reported(lab: Lab, config: Config) -> None:
    path = lab.settings.project_dir / ".cryptoml" / "forecasts" / f"{config.registry.model_name}.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("this is no database, and long enough to be read as one" * 40)
    with pytest.raises(UnavailableError, match="forecast log cannot be used"):
        ask(lab, config, log=True)


def score(lab: Lab, config: Config, **more: object) -> MonitorResult:
    return monitor(MonitorRequest(lab.settings, config, **more))  # type: ignore[arg-type]


def test_nothing_logged_and_nothing_known_yet(lab: Lab, config: Config) -> None:
    with pytest.raises(UsageError, match="no logged forecasts of v1"):
        score(lab, config)
    ask(lab, config, log=True)
    with pytest.raises(DataError, match="contains no outcome of the 1 logged forecast"):
        score(lab, config)


def test_a_good_model_keeps_its_promise(lab: Lab, config: Config) -> None:
    with open_project_store(lab.settings) as store:
        metrics = store.client.get_run(lab.runs["ridge"]).data.metrics
    n = int(metrics["n_test_samples"])
    ask(lab, config, last=n, log=True)
    found = score(lab, config)
    # The hold-out's last forecast has its outcome in the last candle; the newest one of all has none yet.
    assert (found.scores.n, found.waiting, found.late) == (n - 1, 1, n - 1)
    assert found.word in ("beats", "ties")
    assert found.exit_code == 0
    assert found.promised_skill == metrics["skill"]
    assert found.scores.skill == pytest.approx(metrics["skill"], abs=0.003)
    assert 0.8 < found.scores.covered <= 1
    assert found.drift is not None
    newest = score(lab, config, last=10)
    assert (newest.scores.n, newest.word, newest.exit_code) == (10, "unknown", 0)
    assert any("a verdict needs at least 30" in warning for warning in newest.warnings)


def test_a_model_that_has_become_worse_than_persistence(lab: Lab, config: Config) -> None:
    made = ask(lab, config, last=400)
    turned = made.table.assign(forecast_return=-3 * made.table["forecast_return"])
    turned["forecast_price"] = turned["price_now"] * np.exp(turned["forecast_return"])
    for name, factor in (("lower_price", 0.9999), ("upper_price", 1.0001)):
        turned[name] = turned["forecast_price"] * factor
    with open_forecast_log(lab.settings, config.registry.model_name) as log:
        log.append(replace(made, table=turned))
    found = score(lab, config)
    assert (found.word, found.exit_code) == ("worse", 6)
    assert found.scores.skill < 0
    assert any("intervals are too narrow" in warning for warning in found.warnings)
    assert found.next_steps == ("train on newer candles: cryptoml train --data data/raw/sim.csv",)
    # With an earlier version in production, going back is the other way.
    register(RegisterRequest(lab.settings, config, lab.runs["xgb"]))
    promote(PromoteRequest(lab.settings, config, "2", "production", reason="second", force=True))
    promote(PromoteRequest(lab.settings, config, "1", "production", reason="third", force=True))
    assert score(lab, config).next_steps[1] == "or go back to v2: cryptoml promote --rollback --reason 'v1 is worse'"


def test_a_change_of_volatility_and_intervals_that_are_too_wide_are_noted(
    lab: Lab, config: Config, tmp_path: Path
) -> None:
    frame = pd.read_csv(lab.data)
    close = frame["close"].to_numpy()
    for size, word in ((4.0, "too narrow"), (0.2, "too wide")):
        returns = np.diff(np.log(close), prepend=np.log(close[0]))
        returns[-400:] *= size
        prices = close[0] * np.exp(np.cumsum(returns))
        changed = frame.assign(close=prices, open=np.roll(prices, 1))
        changed.loc[0, "open"] = prices[0]
        changed["high"], changed["low"] = changed[["open", "close"]].max(axis=1), changed[["open", "close"]].min(axis=1)
        path = tmp_path / f"changed-{size}.csv"
        changed.to_csv(path, index=False)
        # The forecasts are those for the candles as they were.
        made = ask(lab, config, last=350)
        with open_forecast_log(lab.settings, f"{config.registry.model_name}") as log:
            moved = made.table.assign(price_now=prices[-350:], forecast_price=prices[-350:] * np.exp(
                made.table["forecast_return"]))  # fmt: skip
            for name in ("lower_price", "upper_price"):
                moved[name] = prices[-350:] * made.table[name] / made.table["price_now"]
            log.append(replace(made, table=moved))
        found = score(lab, config, data=path)
        assert found.volatility_ratio == pytest.approx(size, rel=0.5)
        assert 0 < found.volatility_ratio_error < found.volatility_ratio
        assert any("the volatility has changed" in one for one in found.warnings), found.warnings
        assert any(f"intervals are {word}" in one for one in found.warnings), found.warnings
        log.path.unlink()


def test_the_report_has_all_versions_and_their_transitions(lab: Lab, config: Config) -> None:
    from cryptoml.cli.monitor_page import monitor_page

    ask(lab, config, last=200, log=True)
    register(RegisterRequest(lab.settings, config, lab.runs["xgb"]))
    promote(PromoteRequest(lab.settings, config, "2", "production", reason="second & last", force=True))
    ask(lab, config, last=100, log=True)
    found = score(lab, config, with_history=True)
    history = found.history
    assert history is not None
    assert {label: scores.n for label, scores in history.by_version.items()} == {"v1": 199, "v2": 99}
    alone = score(lab, config, model="v1")
    assert history.by_version["v1"] == alone.scores
    assert [entry.to_stage for entry in history.ledger] == ["staging", "production"] * 2
    page = monitor_page(found)
    for part in ("Monitoring of v2", '<td class="left">v1</td>', "second &amp; last", "data:image/png;base64,"):
        assert part in page
    assert len(page) < 1_000_000


def test_features_that_have_drifted_are_named(lab: Lab, config: Config, tmp_path: Path) -> None:
    """A market that rises by a percent an hour, as it never did in training."""
    frame = pd.read_csv(lab.data)
    risen = np.exp(0.01 * np.clip(np.arange(len(frame)) - (len(frame) - 500), 0, None))
    for name in ("open", "high", "low", "close"):
        frame[name] *= risen
    # A candle opens where the one before it closed.
    frame["open"] = frame["close"].shift(1).fillna(frame["open"])
    frame["high"], frame["low"] = (
        frame[["open", "high", "close"]].max(axis=1),
        frame[["open", "low", "close"]].min(axis=1),
    )
    rising = tmp_path / "rising.csv"
    frame.to_csv(rising, index=False)
    ask(lab, config, data=rising, last=200, log=True)
    found = score(lab, config, data=rising)
    assert found.drift
    assert any("distance" in one.feature and one.shift > 1 for one in found.drift)
    assert abs(found.drift[0].shift) >= abs(found.drift[-1].shift) > 1
    assert any("drifted features" in warning for warning in found.warnings)


def test_a_forecast_made_in_time_is_not_late(lab: Lab, config: Config) -> None:
    made = ask(lab, config, last=40, log=True)
    with (
        open_forecast_log(lab.settings, config.registry.model_name) as log,
        closing(sqlite3.connect(log.path)) as connection,
    ):
        # As if it had been said an hour before its outcome, each time but once.
        connection.execute("update forecasts set logged_at = candle where candle < ?", (_iso(made.table.index[-2]),))
        connection.commit()
    found = score(lab, config)
    assert (found.scores.n, found.late) == (39, 1)
    assert any(warning.startswith("1 of 39 forecasts were logged after their outcome") for warning in found.warnings)


def _iso(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
