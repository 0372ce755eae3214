"""The leakage audit of a training: whether anything it learns from was unknown at the time of the forecast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptoml.errors import CheckFailedError
from cryptoml.evaluation.folds import Plan, make_plan, overlaps, rows
from cryptoml.features.audit import audit_causality
from cryptoml.features.volatility import volatility_features, volatility_windows
from cryptoml.training.cross_validate import engine_for, train_models
from cryptoml.training.fit_task import FitTask, run_fit
from cryptoml.training.results import Fit, ModelChoice, ModelResult, TrainingOptions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.data.candles import Candles
    from cryptoml.features.pipeline import FeaturePipeline
    from cryptoml.training.dataset import Dataset

# Candles beyond the warm-up for the features, in a training and in `cryptoml audit`.
QUICK_CANDLES, FULL_CANDLES = 200, 3000
QUICK_CUTS, FULL_CUTS = 2, 12
# A leak gives p-values that are smaller by far.
LEVEL = 0.001
# Skill with the target itself as a feature; without a leak, it is a percent at most.
LEAKED_SKILL = 0.05
SEED = 20_260_101

# Whether features know the future depends on their code, not on the market.
_audited: set[FeaturePipeline] = set()


@dataclass(frozen=True)
class Finding:
    """One check. detail: what was compared or found. columns: the columns that leak."""

    check: str
    passed: bool
    detail: str
    columns: tuple[str, ...] = ()


# Known mistakes in features, as functions of the close; each must be found.
PLANTED: dict[str, Callable[[pd.Series[float]], pd.Series[float]]] = {
    "shift(-1)": lambda close: close.pct_change(fill_method=None).shift(-1),
    "centred_window": lambda close: close.rolling(9, center=True).mean() / close,
    "scaled_on_everything": lambda close: (close - close.mean()) / close.std(),
    "bfill": lambda close: close.pct_change(24, fill_method=None).bfill(),
}


def quick_audit(candles: Candles, pipeline: FeaturePipeline, dataset: Dataset) -> None:
    """Check the features on the newest candles, once per pipeline and process. Raise CheckFailedError."""
    if pipeline in _audited:
        return
    found = _features(_grid(candles, dataset, pipeline.warmup_candles + QUICK_CANDLES), pipeline, QUICK_CUTS)
    if not found.passed:
        raise CheckFailedError(f"{candles.report.source}: {found.detail}", hint="cryptoml audit")
    _audited.add(pipeline)


def audit(
    candles: Candles, dataset: Dataset, plan: Plan, choices: Sequence[ModelChoice], options: TrainingOptions
) -> Iterator[Finding]:
    """Yield the findings of all checks on a data set. choices: the models, without the baseline."""
    grid = _grid(candles, dataset, dataset.pipeline.warmup_candles + FULL_CANDLES)
    yield _features(grid, dataset.pipeline, FULL_CUTS)
    yield _volatility(grid, dataset)
    yield _target(candles, dataset)
    yield _windows(plan, dataset)
    for choice in choices:
        yield _fit(dataset, plan, choice, options)
    yield from _scores(dataset, plan, choices, options)
    yield from _planted(grid, dataset, plan, choices, options)


def uses_later_rows(
    run: Callable[[NDArray[np.float32], NDArray[np.float64], TrainingOptions, FitTask], Fit],
    features: NDArray[np.float32],
    target: NDArray[np.float64],
    options: TrainingOptions,
    task: FitTask,
) -> bool:
    """Return whether the forecasts of a fit change with rows after the fit that they are not made from.

    run: as `run_fit`. The second half of the rows to forecast and all later ones are replaced by noise, as are the
    targets of the first half.
    """
    import numpy as np

    start, stop = task.forecast_rows.start, task.forecast_rows.stop
    middle = (start + stop) // 2
    rng = np.random.default_rng(SEED)
    other_features, other_target = features.copy(), target.copy()
    other_features[middle:] = rng.normal(size=other_features[middle:].shape) * 1e3
    other_target[start:] = rng.normal(size=len(target) - start) * 1e3
    before, after = (run(x, y, options, task) for x, y in ((features, target), (other_features, other_target)))
    return not np.array_equal(before.raw_return[: middle - start], after.raw_return[: middle - start])


def _grid(candles: Candles, dataset: Dataset, length: int) -> pd.DataFrame:
    from cryptoml.data.grid import to_grid

    return to_grid(
        candles.frame.tail(length), candles.interval, max_no_trade_candles=dataset.max_no_trade_candles
    ).tail(length)


def _features(grid: pd.DataFrame, pipeline: FeaturePipeline, cuts: int) -> Finding:
    leaking = tuple(audit_causality(pipeline.transform, grid, random_cuts=cuts, seed=SEED))
    if leaking:
        plural = len(leaking) > 1
        text = f"{', '.join(leaking)} change{'' if plural else 's'} when later candles change."
        return Finding("features", False, f"the feature{'s' if plural else ''} {text}", leaking)
    n_columns = len(pipeline.feature_names)
    return Finding("features", True, f"{n_columns} features are the same on truncated and on changed candles")


def _volatility(grid: pd.DataFrame, dataset: Dataset) -> Finding:
    import pandas as pd

    windows, seconds = volatility_windows(dataset.pipeline.warmup_candles), dataset.interval.seconds

    def compute(candles: pd.DataFrame) -> pd.DataFrame:
        values = volatility_features(candles, windows, seconds)
        names = [f"volatility_{number}" for number in range(values.shape[1])]
        return pd.DataFrame(values, index=candles.index, columns=names)

    leaking = tuple(audit_causality(compute, grid, random_cuts=QUICK_CUTS, seed=SEED))
    detail = "the measures of volatility are the same on truncated and on changed candles"
    if leaking:
        detail = f"{', '.join(leaking)} change when later candles change"
    return Finding("volatility", not leaking, detail, leaking)


def _target(candles: Candles, dataset: Dataset) -> Finding:
    """Compare the target with the closes at its two times, from the candles themselves."""
    import numpy as np

    ahead = dataset.horizon * dataset.interval.timedelta
    close = candles.frame["close"].reindex(dataset.index).to_numpy()
    later = candles.frame["close"].reindex(dataset.index + ahead).to_numpy()
    known = ~np.isnan(later)
    wrong = int(np.sum(~np.isclose(np.log(later[known] / close[known]), dataset.target[known], rtol=0, atol=1e-12)))
    text = f"the target is the log return over the next {dataset.horizon} candles in {int(known.sum()):,} rows"
    if wrong:
        text = f"{wrong:,} targets are not the log return over the next {dataset.horizon} candles"
    return Finding("target", not wrong, text)


def _windows(plan: Plan, dataset: Dataset) -> Finding:
    found = overlaps(plan, dataset.index, dataset.horizon * dataset.interval.timedelta)
    if found:
        return Finding("windows", False, f"training targets overlap the forecasts of {', '.join(found)}")
    text = f"all training targets of {len(plan.folds)} folds and the hold-out are known before the first forecast"
    return Finding("windows", True, text)


def _fit(dataset: Dataset, plan: Plan, choice: ModelChoice, options: TrainingOptions) -> Finding:
    import numpy as np

    fold = plan.folds[0]
    task = FitTask(choice, fold.number, rows(dataset.index, fold.train), rows(dataset.index, fold.validation))
    features = np.ascontiguousarray(dataset.features.to_numpy(dtype=np.float32))
    leaks = uses_later_rows(run_fit, features, dataset.target, options, task)
    verb = "change" if leaks else "do not change"
    return Finding("fit", not leaks, f"the forecasts of {choice.spec.key} {verb} with rows after its training window")


def _scores(
    dataset: Dataset, plan: Plan, choices: Sequence[ModelChoice], options: TrainingOptions
) -> Iterator[Finding]:
    """Train on targets that have no relation to the features: no model may beat persistence."""
    import numpy as np

    # Without their mean: a model may know the trend, and so beat the forecast "no change".
    centred = dataset.target - dataset.target.mean()
    shuffled = np.random.default_rng(SEED).permutation(centred)
    for name, target in (("shuffled", shuffled), ("reversed", centred[::-1].copy())):
        for result in _trained(_with_target(dataset, target), plan, choices, options):
            passed = result.verdict.word != "beats"
            text = f"{result.choice.spec.key} {'beats' if not passed else 'does not beat'} persistence"
            yield Finding(f"{name} targets", passed, f"{text} (p = {result.verdict.p_adjusted:.2g})")


def _planted(
    grid: pd.DataFrame, dataset: Dataset, plan: Plan, choices: Sequence[ModelChoice], options: TrainingOptions
) -> Iterator[Finding]:
    """Make known mistakes; each must be found, or the audit itself is useless."""
    import pandas as pd

    def compute(candles: pd.DataFrame) -> pd.DataFrame:
        planted = {name: make(candles["close"]) for name, make in PLANTED.items()}
        return pd.DataFrame({"causal": candles["close"].pct_change(fill_method=None), **planted})

    found = tuple(audit_causality(compute, grid, random_cuts=QUICK_CUTS, seed=SEED))
    yield Finding("planted features", found == tuple(PLANTED), f"found: {', '.join(found)}", found)
    overlapping = _without_gap(dataset)
    yield Finding("planted overlap", bool(overlapping), f"gap 0 at horizon 24, found in: {', '.join(overlapping)}")
    leaked = dataset.features.copy()
    leaked.isetitem(0, dataset.target.astype("float32"))
    for result in _trained(replace(dataset, features=leaked), plan, choices, options):
        skill = result.metrics["skill"]
        text = f"{result.choice.spec.key} has a skill of {skill:.0%} with the target as a feature"
        yield Finding("planted target", skill > LEAKED_SKILL, text)


def _without_gap(dataset: Dataset) -> list[str]:
    """Return the overlaps of windows without a gap, at a horizon of 24 candles."""
    index, seconds = dataset.index, dataset.interval.seconds
    plan = make_plan(index[0], index[-1], interval_seconds=seconds, horizon=1, ratio=0.8, n_folds=2, gap_candles=1)
    return overlaps(plan, index, 24 * dataset.interval.timedelta)


def _with_target(dataset: Dataset, target: NDArray[np.float64]) -> Dataset:
    import numpy as np

    return replace(dataset, target=target, actual_price=dataset.price_now * np.exp(target))


def _trained(
    dataset: Dataset, plan: Plan, choices: Sequence[ModelChoice], options: TrainingOptions
) -> Iterator[ModelResult]:
    strict = replace(options, significance_level=LEVEL, n_models=len(choices))
    with engine_for(dataset, strict) as engine:
        for result in train_models(dataset, plan, choices, strict, engine):
            if not isinstance(result, ModelResult):
                raise result.error
            yield result
