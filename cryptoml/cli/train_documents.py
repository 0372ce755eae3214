"""The results of `cryptoml train` for --json."""

from __future__ import annotations

from typing import Annotated, TypedDict


class BestRun(TypedDict):
    """The best run by cross-validation."""

    run_id: str | None
    model_type: str
    cv_rmse_mean: float | None
    test_rmse: float | None
    skill: Annotated[float | None, "skill on the hold-out"]
    verdict: Annotated[str | None, "beats, ties or worse than persistence"]


class TrainGate(TypedDict):
    """The decision of the gate."""

    passed: bool
    reasons: Annotated[list[str], "why the best run did not pass"]
    warnings: list[str]
    alternative: Annotated[str | None, "another run that would pass; null if the best one did or none would"]


class TrainedHorizon(TypedDict):
    """A model at a further horizon."""

    horizon: Annotated[int, "in candles"]
    metrics: dict[str, float | None]
    verdict: str


class TrainedModel(TypedDict):
    """One model."""

    model_type: str
    run_name: str
    status: Annotated[str, "status of the run: FINISHED or FAILED"]
    implementation: Annotated[str, "implementation that fitted the model"]
    run_id: Annotated[str | None, "null until the run is delivered"]
    metrics: Annotated[dict[str, float | None], "empty if the model failed"]
    verdict: Annotated[str | None, "beats, ties or worse than persistence"]
    further: Annotated[list[TrainedHorizon], "at the further horizons"]
    error: Annotated[str | None, "why the model failed"]
    exit_code: int


class PooledMarket(TypedDict):
    """The scores of the best pooled model on one market."""

    symbol: str
    n_test_samples: Annotated[int, "rows of the hold-out"]
    skill: Annotated[float | None, "on the hold-out"]
    directional_accuracy: Annotated[float | None, "on the hold-out"]
    interval_coverage: Annotated[float | None, "on the hold-out"]
    dm_p_value_adjusted: Annotated[float | None, "on the folds and the hold-out, for the number of models"]
    verdict: Annotated[str, "beats, ties or worse than persistence"]


class TrainDocument(TypedDict):
    """One training."""

    training_id: str
    experiment: str
    tracking_uri: str
    dataset_version: str
    best: BestRun | None
    registered: bool
    model_name: Annotated[str, "name in the registry"]
    version: Annotated[str | None, "null if nothing was registered"]
    stage: Annotated[str | None, "`none` for a new version"]
    gate: TrainGate
    undelivered: Annotated[str | None, "why runs wait in the journal"]
    markets: Annotated[list[PooledMarket], "with `--pool`, else empty"]
    models: Annotated[list[TrainedModel], "in the order of training, persistence first"]


class MarketDocument(TypedDict):
    """One of several markets."""

    data: str
    training: TrainDocument | None
    error: Annotated[str | None, "why there is no training"]
    exit_code: int


class MarketsDocument(TypedDict):
    """Several markets, one training each."""

    markets: list[MarketDocument]
