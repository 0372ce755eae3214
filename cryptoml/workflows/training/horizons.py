"""The fits of one training at each of its horizons, and their results as one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptoml.evaluation.folds import Plan
    from cryptoml.training.cross_validate import Collector
    from cryptoml.training.dataset import Dataset
    from cryptoml.training.engine import Engine
    from cryptoml.training.results import Fit, ModelResult


@dataclass
class HorizonFits:
    """The rows and the fits at one horizon; results: by model, as they are done."""

    dataset: Dataset
    plan: Plan
    engine: Engine
    collector: Collector
    results: dict[str, ModelResult] = field(default_factory=dict)


def prefix(horizon: int) -> str:
    """Return the prefix of the names of metrics at a further horizon."""
    return f"horizon_{horizon}/"


def as_one_model(results: Sequence[ModelResult], *, kept: Sequence[bool]) -> ModelResult:
    """Return the results of a model at all horizons, the main one first, as one.

    kept: for each further horizon, whether the forecaster forecasts it.
    """
    main, further = results[0], results[1:]
    forecasters = tuple(one.forecaster for one, is_kept in zip(further, kept, strict=True) if is_kept)
    return replace(main, forecaster=replace(main.forecaster, further=forecasters), further=tuple(further))


def refitted_at_all(horizons: Sequence[HorizonFits], result: ModelResult, fits: Sequence[Fit | None]) -> ModelResult:
    """Return a result whose forecasters have the fits on all rows; None for a horizon that is not forecast."""
    from cryptoml.training.assemble import refitted

    done = [
        one if fit is None else refitted(horizon.dataset, one, fit)
        for horizon, one, fit in zip(horizons, (result, *result.further), fits, strict=True)
    ]
    main = replace(done[0], forecaster=replace(done[0].forecaster, further=()))
    return as_one_model([main, *done[1:]], kept=[fit is not None for fit in fits[1:]])
