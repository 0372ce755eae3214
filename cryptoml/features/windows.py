"""Rolling-window statistics that are bit-identical wherever the series starts.

A window is combined from pieces of 1, 2, 4, ... values by elementwise operations, so all rows use the same tree of
additions. A running sum would accumulate rounding errors from row to row, and a forecast from the latest candles would
differ from one computed on the whole history.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def lagged(values: Array, k: int) -> Array:
    """Return `values` shifted by `k` rows to later rows; NaN in the first `k` rows."""
    if k == 0:
        return values
    out = np.full(values.size, np.nan)
    out[k:] = values[:-k]
    return out


def aligned(values: Array, size: int) -> Array:
    """Return `values` padded with NaN at the start, to `size` rows."""
    out = np.full(size, np.nan)
    if values.size:
        out[size - values.size :] = values
    return out


def _pieces(window: int) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of the powers of two that make up a window, the longest first."""
    offset = 0
    for bit in reversed(range(window.bit_length())):
        if window >> bit & 1:
            yield offset, 1 << bit
            offset += 1 << bit


class Moments:
    """Mean and central moments up to `order` (at most 3) over windows of any length.

    Adjacent halves are merged with the pairwise formulas of Chan, Golub and LeVeque (1979), and of Pébay (2008) for the
    third moment. Equal values have a variance of exactly 0. A NaN makes exactly those windows NaN that contain it.
    """

    def __init__(self, values: Array, *, order: int) -> None:
        self._size = values.size
        self._levels: dict[int, tuple[Array, ...]] = {1: (values, *(values * 0.0 for _ in range(order - 1)))}
        self._windows: dict[int, tuple[Array, ...]] = {}

    def over(self, window: int) -> tuple[Array, ...]:
        """Return (mean, mean square deviation, mean cubed deviation)[:order], each aligned with the values."""
        if window not in self._windows:
            self._windows[window] = self._over(window)
        return self._windows[window]

    def _over(self, window: int) -> tuple[Array, ...]:
        rows = max(self._size - window + 1, 0)
        merged: tuple[Array, ...] | None = None
        covered = 0
        for offset, length in _pieces(window):
            piece = tuple(part[offset : offset + rows] for part in self._level(length))
            merged = piece if merged is None else _merge(merged, covered, piece, length)
            covered += length
        assert merged is not None
        mean, *sums = merged
        return (aligned(mean, self._size), *(aligned(part / window, self._size) for part in sums))

    def _level(self, length: int) -> tuple[Array, ...]:
        if length not in self._levels:
            half = length // 2
            below = self._level(half)
            older = tuple(part[:-half] for part in below)
            newer = tuple(part[half:] for part in below)
            self._levels[length] = _merge(older, half, newer, half)
        return self._levels[length]


def _merge(a: tuple[Array, ...], size_a: int, b: tuple[Array, ...], size_b: int) -> tuple[Array, ...]:
    size = size_a + size_b
    delta = b[0] - a[0]
    merged = [a[0] + delta * (size_b / size)]
    if len(a) > 1:
        merged.append(a[1] + b[1] + delta * delta * (size_a * size_b / size))
    if len(a) > 2:
        cubed = a[2] + b[2] + delta * (b[1] * (3.0 * size_a / size) - a[1] * (3.0 * size_b / size))
        if size_a != size_b:
            cubed += delta * delta * delta * (size_a * size_b * (size_a - size_b) / size**2)
        merged.append(cubed)
    return tuple(merged)


def highest(values: Array, window: int) -> Array:
    """Return the maximum of the last `window` values; NaN if one of them is NaN."""
    level, length = values, 1
    while 2 * length <= window:
        level = np.maximum(level[length:], level[:-length])
        length *= 2
    rest = window - length
    if rest:
        level = np.maximum(level[rest:], level[:-rest])
    return aligned(level, values.size)


def lowest(values: Array, window: int) -> Array:
    """Return the minimum of the last `window` values; NaN if one of them is NaN."""
    return -highest(-values, window)


def geometric_sum(values: Array, decay: float, terms: int) -> Array:
    """Return the sum of `decay**j` times the value `j` rows earlier, over `terms` rows (a power of two).

    Times `1 - decay`, this is an exponential moving average truncated to `terms` rows; the omitted rows have a total
    weight of `decay**terms`.
    """
    level, length = values, 1
    while length < terms:
        level = level[length:] + level[:-length] * decay**length
        length *= 2
    return aligned(level, values.size)
