"""One candle for each time: rows put in order, copies of one candle merged, contradictions refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptoml.data.cleaning.quality import EXAMPLES
from cryptoml.data.reading.columns import PRICES
from cryptoml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.data.cleaning.repair import Rows

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]

VALUES = (*PRICES, "volume")
# Some sources write the close before as the open, a hair off the first trade, and count a late trade or two less:
# so far, as a share, a rounded copy may be from the precise form.
OPEN_SHARE = 2e-3
VOLUME_SHARE = 1e-2


def one_candle_a_time(rows: Rows) -> None:
    """Put rows in order and merge copies; raises DataError where two candles for one time contradict each other.

    Exact copies are dropped. Of a candle written twice, once rounded, the more precise stays; of an unfinished
    and the finished form of one candle (same open, wider range, more volume), the finished.
    """
    import numpy as np

    times = rows.frame["time"].to_numpy()
    if len(times) > 1 and (np.diff(times) < 0).any():
        rows.note("rows out of order", "repaired", np.r_[False, np.diff(times) < 0])
        rows.frame = rows.frame.sort_values("time", kind="stable")
        times = rows.frame["time"].to_numpy()
    if not (np.diff(times) == 0).any():
        return
    # Also by values, so that the order of the file decides nothing about which of several copies stays.
    rows.frame = rows.frame.sort_values(["time", *VALUES, "row"], kind="stable")
    rows.drop("exact copy of another row", rows.frame.duplicated(["time", *VALUES]).to_numpy())
    while True:
        frame = rows.frame
        same = np.r_[False, np.diff(frame["time"].to_numpy()) == 0]
        if not same.any():
            return
        # Pairs of neighbours; a time written three times is settled two at a time.
        second = np.flatnonzero(same & ~np.r_[False, same[:-1]])
        first = second - 1
        loser, kind = _compare(frame, first, second)
        if (kind == 0).any():
            raise _contradiction(rows, first[kind == 0], second[kind == 0])
        lost = np.where(loser == 0, first, second)
        rounded, unfinished = np.zeros(len(frame), dtype=bool), np.zeros(len(frame), dtype=bool)
        rounded[lost[kind == 1]] = True
        unfinished[lost[kind == 2]] = True
        rows.note("rounded copy of another row", "dropped", rounded)
        rows.note("unfinished copy of another row", "dropped", unfinished)
        rows.frame = frame[~(rounded | unfinished)]


def _compare(
    frame: pd.DataFrame, first: NDArray[np.intp], second: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For pairs of rows: which loses (0 or 1), and why (0 contradiction, 1 rounded, 2 unfinished)."""
    import numpy as np

    left, right = (frame[list(VALUES)].to_numpy(dtype=np.float64)[rows] for rows in (first, second))
    digits = np.stack([_decimals(left), _decimals(right)])
    total = digits.sum(axis=2)
    step = _step(digits)
    agree = _rounded_copy(left, right, step) & (total[0] != total[1])
    inside = _inside(left, right, step), _inside(right, left, step)
    kind = np.where(agree, 1, np.where(inside[0] | inside[1], 2, 0))
    loser = np.where(kind == 2, np.where(inside[0], 0, 1), np.where(total[0] < total[1], 0, 1))
    return loser, kind


def _step(digits: Floats) -> Floats:
    """One unit of the coarser form's last place, for each value of each pair; a little is added for binary fractions.

    A row's prices are taken to be written with as many decimals as the longest of them.
    """
    import numpy as np

    places = np.broadcast_to(digits[:, :, :4].max(axis=2, keepdims=True), digits[:, :, :4].shape)
    places = np.concatenate([places, digits[:, :, 4:]], axis=2).min(axis=0)
    step: Floats = 1.01 * 10.0**-places
    return step


def _rounded_copy(a: Floats, b: Floats, step: Floats) -> Mask:
    """Whether two rows can be one candle in two precisions: all but a shifted open and what follows from it agree."""
    import numpy as np

    apart = np.abs(a - b)
    shift = apart[:, 0]
    found: Mask = (
        (shift <= np.maximum(step[:, 0], OPEN_SHARE * np.abs(b[:, 0])))
        & (apart[:, 1] <= step[:, 1] + shift)
        & (apart[:, 2] <= step[:, 2] + shift)
        & (apart[:, 3] <= step[:, 3])
        & (apart[:, 4] <= np.maximum(step[:, 4], VOLUME_SHARE * np.abs(b[:, 4])))
    )
    return found


def _inside(part: Floats, whole: Floats, step: Floats) -> Mask:
    """Whether `part` can be `whole` before it was finished."""
    import numpy as np

    found: Mask = (
        (np.abs(part[:, 0] - whole[:, 0]) <= step[:, 0])
        & (part[:, 1] <= whole[:, 1] + step[:, 1])
        & (part[:, 2] >= whole[:, 2] - step[:, 2])
        & (part[:, 4] < whole[:, 4])
    )
    return found


def _decimals(values: Floats) -> Floats:
    """How many decimals (0 to 10) each value is written with."""
    import numpy as np

    found = np.full(values.shape, 10.0)
    for places in range(9, -1, -1):
        exact = np.abs(np.round(values, places) - values) <= 1e-12 * np.maximum(np.abs(values), 1e-3)
        found[exact] = places
    return found


def _contradiction(rows: Rows, first: NDArray[np.intp], second: NDArray[np.intp]) -> DataError:
    """The error that names both lines, the column in which they are furthest apart, and its values."""
    import numpy as np
    import pandas as pd

    shown = []
    for one, other in list(zip(first, second, strict=True))[:EXAMPLES]:
        pair = rows.frame.iloc[[int(one), int(other)]].sort_values("row")
        values = pair[list(VALUES)].to_numpy(dtype=np.float64)
        worst = int(np.argmax(np.abs(values[0, :4] / values[1, :4] - 1)))
        if values[0, worst] == values[1, worst]:
            worst = len(VALUES) - 1
        time = pd.Timestamp(int(pair["time"].iloc[1]))
        early, late = (rows.where(int(row)) for row in pair["row"])
        shown.append(
            f"{late}: {time:%Y-%m-%d %H:%M} UTC, column {VALUES[worst]} {values[1, worst]:.10g} "
            f"({early} has {values[0, worst]:.10g})"
        )
    return DataError(
        f"{rows.source}: {len(first):,} x two candles for one time that contradict each other: {'; '.join(shown)}.",
        hint="keep one of each pair in the file",
    )
