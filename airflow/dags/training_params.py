"""The parameters of a run and their JSON schema; Airflow rejects a run with invalid parameters."""

from __future__ import annotations

from airflow.sdk import Param

MODELS = ("rf", "gbm", "ridge", "xgb")
# In Python `$` also matches before a trailing newline.
END = r"$(?!\n)"


def training_params(*, most_symbols: int) -> dict[str, Param]:
    """Define the params of a training DAG. Commands get the values as environment variables, never as shell code."""
    one = "One market" if most_symbols == 1 else "Markets"
    return {
        "symbols": Param(
            ["BTC/USDT"] if most_symbols == 1 else ["BTC/USDT", "ETH/USDT"],
            type="array",
            items={"type": "string", "pattern": f"^[A-Z0-9]{{1,20}}/[A-Z0-9]{{1,20}}{END}"},
            minItems=1,
            maxItems=most_symbols,
            uniqueItems=True,
            description=f"{one} of the exchange, such as BTC/USDT.",
        ),
        "interval": Param("1h", type="string", pattern=f"^[1-9][0-9]?[mhdw]{END}", description="Length of a candle."),
        "models": Param(
            list(MODELS),
            type="array",
            items={"type": "string", "enum": list(MODELS)},
            minItems=1,
            uniqueItems=True,
            description="Models to train on the same split; the best is registered if it passes the gate.",
        ),
        "config": Param(
            None,
            type=["null", "string"],
            pattern=rf"^(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./-]*\.ya?ml{END}",
            description="Config file inside the project; configs/default.yaml if empty.",
        ),
    }
