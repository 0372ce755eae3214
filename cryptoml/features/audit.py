"""A leakage audit for any feature code: reports features whose past values change when future prices change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_CANDLE_COLUMNS = ("open", "high", "low", "close", "volume")


def audit_causality(
    compute: Callable[[pd.DataFrame], pd.DataFrame],
    grid: pd.DataFrame,
    *,
    random_cuts: int = 8,
    relative_tolerance: float = 1e-6,
    seed: int = 0,
) -> list[str]:
    """Return the names of the columns of `compute(grid)` that depend on later rows; empty if there are none.

    `compute` maps candles to features on the same index; rows that it omits count as missing. The audit compares
    `compute(grid)` with the features of a truncated grid and of a grid with random prices after the cut. It cuts at
    early positions (where a warm-up could be back-filled), at the edges of breaks, and at random positions. A column
    is reported if a value before the cut changes by more than `relative_tolerance` of the value plus a billionth of
    the column's standard deviation, if a value becomes or stops being NaN, or if the column is missing in one of the
    results. A few hundred to a few thousand rows are sufficient.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    reference = compute(grid.copy()).reindex(grid.index)
    leaking: set[str] = set()
    for cut in _cuts(grid, random_cuts, rng):
        for changed in (grid.iloc[:cut].copy(), _with_random_future(grid, cut, rng)):
            recomputed = compute(changed).reindex(changed.index)
            leaking |= {str(name) for name in set(reference.columns) ^ set(recomputed.columns)}
            for name in reference.columns.intersection(recomputed.columns):
                before = reference[name].to_numpy(dtype=np.float64)
                after = recomputed[name].to_numpy(dtype=np.float64)[:cut]
                if _differs(before, after, cut, relative_tolerance):
                    leaking.add(str(name))
    return [str(name) for name in reference.columns if str(name) in leaking] + sorted(
        leaking - {str(name) for name in reference.columns}
    )


def _cuts(grid: pd.DataFrame, random_cuts: int, rng: np.random.Generator) -> list[int]:
    import numpy as np

    size = len(grid)
    early = [2**power for power in range(size.bit_length())]
    missing = grid["close"].isna().to_numpy()
    edges = np.flatnonzero(missing[1:] != missing[:-1]) + 1
    at_breaks = [int(edge) + shift for edge in edges[:8] for shift in (0, 1)]
    random = rng.integers(1, max(size, 2), size=random_cuts).tolist()
    return sorted({cut for cut in (*early, *at_breaks, *random) if 0 < cut < size})


def _with_random_future(grid: pd.DataFrame, cut: int, rng: np.random.Generator) -> pd.DataFrame:
    import numpy as np

    changed = grid.copy()
    columns = [name for name in _CANDLE_COLUMNS if name in changed.columns]
    positions = [list(changed.columns).index(name) for name in columns]
    future = changed.iloc[cut:, positions].to_numpy(dtype=np.float64)
    changed.iloc[cut:, positions] = future * np.exp(rng.normal(size=(len(future), 1)))
    return changed


def _differs(before: NDArray[np.float64], after: NDArray[np.float64], cut: int, relative_tolerance: float) -> bool:
    import numpy as np

    past = before[:cut]
    finite = before[np.isfinite(before)]
    tolerance = 1e-9 * float(finite.std()) if finite.size else 0.0
    same = np.isclose(past, after, rtol=relative_tolerance, atol=tolerance, equal_nan=True)
    return not bool(same.all())
