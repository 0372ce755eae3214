"""A training for each market: one market with bad candles fails the run and leaves the others alone."""

from __future__ import annotations

from tests.airflow.conftest import World


def test_each_market_is_trained_and_a_failed_one_fails_the_run(world: World):
    markets = ["BTC/USDT", "ETH/BTC", "ETH/USDT"]
    params = {"symbols": markets, "models": ["ridge"], "config": "configs/tiny.yaml"}
    run = world.airflow.trigger("crypto_training_by_symbol", **params).end("failed")
    states = {key: task["state"] for key, task in run.tasks().items()}
    assert [states["market.transform_data", index] for index in range(3)] == ["success", "failed", "success"]
    assert [states["market.train_model", index] for index in range(3)] == ["success", "upstream_failed", "success"]
    assert run.tasks()["market.transform_data", 1]["try_number"] == 1, "exit 4 is not tried again"
    assert "missing: 400 of 1,999 candles" in run.log("market.transform_data", 1, 1)
    for index, symbol in ((0, "BTCUSDT"), (2, "ETHUSDT")):
        result = run.xcom("market.train_model", index)
        assert run.xcom("market.version_data", index) == result["dataset_version"]
        (best,) = (one for one in world.runs() if one["run_id"] == result["best"]["run_id"])
        assert symbol in str(best["tags"]) + run.log("market.train_model", 1, index)
    assert world.webhook.ids(run.run_id) == ["market.transform_data[1]/1"]
