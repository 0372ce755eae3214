"""A figure that is not finite does not get into the ledger of a real registry."""

from __future__ import annotations

import json
import math
from pathlib import Path

from cryptoml.registry.ledger import tag_name
from cryptoml.registry.transitions import Move, check_history, open_registry
from cryptoml.tracking.store.store import open_store


def test_nan_stays_out_of_the_ledger(tmp_path: Path) -> None:
    mirror = tmp_path / "ledger.jsonl"
    with open_store(f"sqlite:///{tmp_path}/mlflow.db") as store:
        store.client.create_registered_model("coins")
        store.client.create_model_version("coins", source=(tmp_path / "model").as_uri())
        with open_registry(store, "coins", mirror) as registry:
            figures = {"skill": math.nan, "cv_rmse_mean": 1.5, "verdict": "ties"}
            registry.refuse(Move("1", "staging", "why", "ada", kind="refusal", metrics=figures))
        text = store.client.get_registered_model("coins").tags[tag_name(1)]
        assert json.loads(text)["metrics"] == {"cv_rmse_mean": 1.5, "verdict": "ties"}
        ledger, faults = check_history(store, "coins", mirror)
    assert len(ledger.entries) == 1
    assert faults == ()
