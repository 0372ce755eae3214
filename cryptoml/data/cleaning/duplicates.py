"""Reduces rows to one candle per time: sorts them, merges duplicates and refuses contradictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptoml.data.cleaning.quality import EXAMPLES
from cryptoml.data.reading.column_names import PRICES
from cryptoml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.data.cleaning.repair import Rows

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]

VALUES = (*PRICES, "volume")
# Some sources write the previous close as the open, slightly off the first trade, and omit a few late trades: a rounded
# duplicate may differ from the precise candle by these shares.
OPEN_SHARE = 2e-3
VOLUME_SHARE = 1e-2
# With a larger share of contradictory pairs, the rows are those of several markets.
SEVERAL_MARKETS_SHARE = 0.2


def merge_duplicates(rows: Rows) -> None:
    """Sort rows and merge duplicates; raises DataError if two candles for the same time contradict each other.

    Exact duplicates are dropped. Of a precise and a rounded form of a candle, the precise one is kept, the first one if
    both have equally many decimals; of an incomplete and a complete form (same open, wider range, more volume), the
    complete one.
    """
    import numpy as np

    times = rows.frame["time"].to_numpy()
    if len(times) > 1 and (np.diff(times) < 0).any():
        rows.note("rows out of order", "repaired", np.r_[False, np.diff(times) < 0])
        rows.frame = rows.frame.sort_values("time", kind="stable")
        times = rows.frame["time"].to_numpy()
    if not (np.diff(times) == 0).any():
        return
    # Also by values, so that the result does not depend on the order of duplicates in the file.
    rows.frame = rows.frame.sort_values(["time", *VALUES, "row"], kind="stable")
    rows.drop("exact duplicate of another row", rows.frame.duplicated(["time", *VALUES]).to_numpy())
    while True:
        frame = rows.frame
        same = np.r_[False, np.diff(frame["time"].to_numpy()) == 0]
        if not same.any():
            return
        # Pairs of neighbours; three rows with the same time are compared in pairs.
        second = np.flatnonzero(same & ~np.r_[False, same[:-1]])
        first = second - 1
        dropped, kind = _compare(frame, first, second)
        if (kind == 0).any():
            raise _contradiction(rows, first[kind == 0], second[kind == 0])
        losing_rows = np.where(dropped == 0, first, second)
        rounded, incomplete = np.zeros(len(frame), dtype=bool), np.zeros(len(frame), dtype=bool)
        rounded[losing_rows[kind == 1]] = True
        incomplete[losing_rows[kind == 2]] = True
        rows.note("rounded duplicate of another row", "dropped", rounded)
        rows.note("incomplete duplicate of another row", "dropped", incomplete)
        rows.frame = frame[~(rounded | incomplete)]


def _compare(
    frame: pd.DataFrame, first: NDArray[np.intp], second: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Decide which row of each pair is dropped (0, 1), and why (0 contradiction, 1 rounded, 2 incomplete)."""
    import numpy as np

    left, right = (frame[list(VALUES)].to_numpy(dtype=np.float64)[rows] for rows in (first, second))
    digits = np.stack([_decimals(left), _decimals(right)])
    total = digits[:, :, :4].max(axis=2) + digits[:, :, 4]
    step = _step(digits)
    # With equally many decimals only the open may differ, which some sources take from the candle before.
    same_close = np.abs(left[:, 3] - right[:, 3]) <= 1e-12 * np.abs(right[:, 3])
    agree = _is_rounded_duplicate(left, right, step) & ((total[0] != total[1]) | same_close)
    inside = _is_incomplete_form(left, right, step), _is_incomplete_form(right, left, step)
    kind = np.where(agree, 1, np.where(inside[0] | inside[1], 2, 0))
    # Of two rows with equally many decimals, the one that comes first in the file is kept.
    later = np.where(frame["row"].to_numpy()[first] > frame["row"].to_numpy()[second], 0, 1)
    coarser = np.where(total[0] == total[1], later, np.where(total[0] < total[1], 0, 1))
    dropped = np.where(kind == 2, np.where(inside[0], 0, 1), coarser)
    return dropped, kind


def _step(digits: Floats) -> Floats:
    """Return one unit in the last place of the coarser form, per value and pair, plus a tolerance for binary fractions.

    The prices of a row are assumed to be written with as many decimals as the longest of them.
    """
    import numpy as np

    decimals = np.broadcast_to(digits[:, :, :4].max(axis=2, keepdims=True), digits[:, :, :4].shape)
    decimals = np.concatenate([decimals, digits[:, :, 4:]], axis=2).min(axis=0)
    step: Floats = 1.01 * 10.0**-decimals
    return step


def _is_rounded_duplicate(a: Floats, b: Floats, step: Floats) -> Mask:
    """Return whether two rows can be one candle in two precisions, allowing for a shifted open and its effects."""
    import numpy as np

    apart = np.abs(a - b)
    shift = apart[:, 0]
    is_duplicate: Mask = (
        (shift <= np.maximum(step[:, 0], OPEN_SHARE * np.abs(b[:, 0])))
        & (apart[:, 1] <= step[:, 1] + shift)
        & (apart[:, 2] <= step[:, 2] + shift)
        & (apart[:, 3] <= step[:, 3])
        & (apart[:, 4] <= np.maximum(step[:, 4], VOLUME_SHARE * np.abs(b[:, 4])))
    )
    return is_duplicate


def _is_incomplete_form(part: Floats, whole: Floats, step: Floats) -> Mask:
    """Return whether `part` can be the incomplete form of `whole`."""
    import numpy as np

    is_inside: Mask = (
        (np.abs(part[:, 0] - whole[:, 0]) <= step[:, 0])
        & (part[:, 1] <= whole[:, 1] + step[:, 1])
        & (part[:, 2] >= whole[:, 2] - step[:, 2])
        & (part[:, 4] < whole[:, 4])
    )
    return is_inside


def _decimals(values: Floats) -> Floats:
    """Return the number of decimals (0 to 10) with which each value is written."""
    import numpy as np

    decimals = np.full(values.shape, 10.0)
    for count in range(9, -1, -1):
        exact = np.abs(np.round(values, count) - values) <= 1e-12 * np.maximum(np.abs(values), 1e-3)
        decimals[exact] = count
    return decimals


def _contradiction(rows: Rows, first: NDArray[np.intp], second: NDArray[np.intp]) -> DataError:
    """Build the error that names both lines and the column with the largest difference."""
    import numpy as np
    import pandas as pd

    examples = []
    for pair_rows in list(zip(first, second, strict=True))[:EXAMPLES]:
        pair = rows.frame.iloc[[int(row) for row in pair_rows]].sort_values("row")
        values = pair[list(VALUES)].to_numpy(dtype=np.float64)
        worst = int(np.argmax(np.abs(values[0, :4] / values[1, :4] - 1)))
        if values[0, worst] == values[1, worst]:
            worst = len(VALUES) - 1
        time = pd.Timestamp(int(pair["time"].iloc[1]))
        earlier, later = (rows.where(int(row)) for row in pair["row"])
        examples.append(
            f"{later}: {time:%Y-%m-%d %H:%M} UTC, column {VALUES[worst]} {values[1, worst]:.10g} "
            f"({earlier} has {values[0, worst]:.10g})"
        )
    hint = "keep one row of each pair"
    if len(first) > SEVERAL_MARKETS_SHARE * len(rows.frame):
        hint = "if the file contains several markets, name their column with --columns symbol=COLUMN, or split it"
    return DataError(
        f"{rows.source}: {len(first):,} x two contradictory candles for the same time: {'; '.join(examples)}.",
        hint=hint,
    )
