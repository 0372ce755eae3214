"""A leakage audit for feature code of any origin: does a value of the past move when the future does?"""

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
    """Names of the columns of `compute(grid)` that depend on rows after their own; empty when none does.

    `compute` maps candles to features on the same index; a row it leaves out counts as missing. It is run on
    the grid cut short and on the grid with its future replaced by other prices: at early positions (where a
    warm-up could be filled backwards), at the edges of breaks, and at random. The rows before the cut must
    stay as they were. A difference counts when it exceeds `relative_tolerance` of the value and a billionth
    of the column's deviation, or when a value appears or vanishes. A column that is there with one grid and
    not with the other is named too. A few hundred to a few thousand rows are enough.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    whole = compute(grid.copy()).reindex(grid.index)
    offending: set[str] = set()
    for cut in _cuts(grid, random_cuts, rng):
        for changed in (grid.iloc[:cut].copy(), _with_other_future(grid, cut, rng)):
            again = compute(changed).reindex(changed.index)
            offending |= {str(name) for name in set(whole.columns) ^ set(again.columns)}
            for name in whole.columns.intersection(again.columns):
                before = whole[name].to_numpy(dtype=np.float64)
                after = again[name].to_numpy(dtype=np.float64)[:cut]
                if _moved(before, after, cut, relative_tolerance):
                    offending.add(str(name))
    return [str(name) for name in whole.columns if str(name) in offending] + sorted(
        offending - {str(name) for name in whole.columns}
    )


def _cuts(grid: pd.DataFrame, random_cuts: int, rng: np.random.Generator) -> list[int]:
    import numpy as np

    size = len(grid)
    early = [2**power for power in range(size.bit_length())]
    missing = grid["close"].isna().to_numpy()
    edges = np.flatnonzero(missing[1:] != missing[:-1]) + 1
    beside = [int(edge) + shift for edge in edges[:8] for shift in (0, 1)]
    random = rng.integers(1, max(size, 2), size=random_cuts).tolist()
    return sorted({cut for cut in (*early, *beside, *random) if 0 < cut < size})


def _with_other_future(grid: pd.DataFrame, cut: int, rng: np.random.Generator) -> pd.DataFrame:
    import numpy as np

    changed = grid.copy()
    columns = [name for name in _CANDLE_COLUMNS if name in changed.columns]
    positions = [list(changed.columns).index(name) for name in columns]
    future = changed.iloc[cut:, positions].to_numpy(dtype=np.float64)
    changed.iloc[cut:, positions] = future * np.exp(rng.normal(size=(len(future), 1)))
    return changed


def _moved(before: NDArray[np.float64], after: NDArray[np.float64], cut: int, relative_tolerance: float) -> bool:
    import numpy as np

    past = before[:cut]
    known = before[np.isfinite(before)]
    slack = 1e-9 * float(known.std()) if known.size else 0.0
    same = np.isclose(past, after, rtol=relative_tolerance, atol=slack, equal_nan=True)
    return not bool(same.all())
