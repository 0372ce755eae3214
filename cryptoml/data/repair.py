"""What is done about rows that cannot all be true: one candle for each time, in order, on the grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cryptoml.data.quality import EXAMPLES, Action, Finding
from cryptoml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

OnBadRows = Literal["drop", "fail"]
PRICES = ("open", "high", "low", "close")
NANOSECONDS = 10**9

# A price counts as a misprint when it lies this far (natural log) outside everything its neighbours show, and
# this many times their usual range. Flash crashes of liquid markets stay below both.
SPIKE_LOG = 0.35
SPIKE_RANGES = 20.0
SPIKE_NEIGHBOURS = 3
# Nobody trades much at a misprint: so many times the usual volume says that the price was real.
SPIKE_VOLUME = 10.0
# Of open, high, low, close and volume.
COPY_TOLERANCES = (2e-3, 2e-3, 2e-3, 2e-3, 1e-2)


@dataclass
class Rows:
    """Rows on their way to candles. frame: time (ns, UTC), OHLCV as float64, and `row`, the place in the file."""

    source: str
    frame: pd.DataFrame
    where: Callable[[int], str]
    on_bad_rows: OnBadRows
    findings: list[Finding] = field(default_factory=list)

    def note(self, kind: str, action: Action, mask: Mask) -> None:
        """Record `mask` rows as a finding, if there are any."""
        if mask.any():
            self.findings.append(Finding(kind, action, int(mask.sum()), self._examples(mask)))

    def drop(self, kind: str, mask: Mask) -> None:
        """Leave `mask` rows out and say so."""
        self.note(kind, "dropped", mask)
        if mask.any():
            self.frame = self.frame[~mask]

    def drop_or_fail(self, kind: str, mask: Mask) -> None:
        """By policy: leave the rows out, or raise DataError."""
        if mask.any() and self.on_bad_rows == "fail":
            raise self.error(kind, mask, mend="--set data.on_bad_rows=drop leaves them out")
        self.drop(kind, mask)

    def error(self, kind: str, mask: Mask, *, mend: str) -> DataError:
        """The error that names the rows."""
        shown = "; ".join(self._examples(mask))
        return DataError(f"{self.source}: {int(mask.sum()):,} x {kind}: {shown}.", mend=mend)

    def _examples(self, mask: Mask) -> tuple[str, ...]:
        import pandas as pd

        shown = self.frame[mask].head(EXAMPLES)
        return tuple(
            f"{self.where(int(row))}: {pd.Timestamp(int(time)):%Y-%m-%d %H:%M} UTC"
            for row, time in zip(shown["row"].to_numpy(), shown["time"].to_numpy(), strict=True)
        )


def one_candle_a_time(rows: Rows) -> None:
    """Put rows in order and merge copies; raises DataError where two candles for one time contradict each other.

    Exact copies are dropped. Of a candle written twice, once rounded, the more precise stays; of an unfinished
    and the finished form of one candle (same open, wider range, more volume), the finished.
    """
    import numpy as np

    frame = rows.frame
    times = frame["time"].to_numpy()
    if len(times) > 1 and (np.diff(times) < 0).any():
        rows.note("rows out of order", "repaired", np.r_[False, np.diff(times) < 0])
        rows.frame = frame = frame.sort_values("time", kind="stable")
    rows.drop("exact copy of another row", frame.duplicated(["time", *PRICES, "volume"]).to_numpy())
    while True:
        frame = rows.frame
        same = np.r_[False, np.diff(frame["time"].to_numpy()) == 0]
        if not same.any():
            return
        # Pairs of neighbours; a time written three times is settled two at a time.
        second = np.flatnonzero(same & ~np.r_[False, same[:-1]])
        first = second - 1
        loser, kind = _settle(frame.iloc[first], frame.iloc[second])
        contradicts = kind == 0
        if contradicts.any():
            mask = np.zeros(len(frame), dtype=bool)
            mask[second[contradicts]] = True
            raise rows.error(
                "two candles for one time that contradict each other", mask, mend="keep one of each pair in the file"
            )
        lost = np.where(loser == 0, first, second)
        rounded, unfinished = np.zeros(len(frame), dtype=bool), np.zeros(len(frame), dtype=bool)
        rounded[lost[kind == 1]] = True
        unfinished[lost[kind == 2]] = True
        rows.note("rounded copy of another row", "dropped", rounded)
        rows.note("unfinished copy of another row", "dropped", unfinished)
        rows.frame = frame[~(rounded | unfinished)]


def _settle(a: pd.DataFrame, b: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For pairs of rows: which loses (0 or 1), and why (0 contradiction, 1 rounded, 2 unfinished)."""
    import numpy as np

    left = a[[*PRICES, "volume"]].to_numpy()
    right = b[[*PRICES, "volume"]].to_numpy()
    digits = np.stack([_decimals(left), _decimals(right)])
    coarse = digits.min(axis=0)
    # Half a unit of the coarser form, and a little for binary fractions and for rounding down.
    agree = np.abs(left - right) <= 1.01 * 10.0**-coarse
    # Some sources write the close before as the open, a hair off the first trade: close enough for a coarser form.
    one_is_coarser = digits[0].sum(axis=1) != digits[1].sum(axis=1)
    agree |= (np.abs(left - right) <= np.asarray(COPY_TOLERANCES) * np.abs(right)) & one_is_coarser[:, None]
    rounded = agree.all(axis=1)
    loser = np.where(digits[0].sum(axis=1) < digits[1].sum(axis=1), 0, 1)
    inside = _inside(left, right), _inside(right, left)
    kind = np.where(rounded, 1, np.where(inside[0] | inside[1], 2, 0))
    loser = np.where(kind == 2, np.where(inside[0], 0, 1), loser)
    return loser, kind


def _inside(part: NDArray[np.float64], whole: NDArray[np.float64]) -> Mask:
    """Whether `part` can be `whole` before it was finished."""
    import numpy as np

    slack = 1e-6 * np.abs(whole) + 0.011
    found: Mask = (
        (np.abs(part[:, 0] - whole[:, 0]) <= slack[:, 0])
        & (part[:, 1] <= whole[:, 1] + slack[:, 1])
        & (part[:, 2] >= whole[:, 2] - slack[:, 2])
        & (part[:, 4] < whole[:, 4])
    )
    return found


def _decimals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many decimals (0 to 8) each value is written with."""
    import numpy as np

    found = np.full(values.shape, 8.0)
    for places in range(7, -1, -1):
        exact = np.abs(np.round(values, places) - values) <= 1e-12 * np.maximum(np.abs(values), 1)
        found[exact] = places
    return found


def drop_impossible(rows: Rows, *, has_volume: bool) -> None:
    """By policy: prices that are missing or not above zero, ranges that do not hold their own prices."""
    import numpy as np

    prices = rows.frame[list(PRICES)].to_numpy()
    rows.drop_or_fail("row without a price", np.isnan(prices).any(axis=1))
    prices = rows.frame[list(PRICES)].to_numpy()
    rows.drop_or_fail("price of zero or below", np.any(prices <= 0, axis=1))
    if has_volume:
        volume = rows.frame["volume"].to_numpy(dtype=np.float64)
        rows.drop_or_fail("volume missing or below zero", np.isnan(volume) | (volume < 0))
    o, h, low, c = (rows.frame[name].to_numpy(dtype=np.float64) for name in PRICES)
    slack = 1e-9 * h
    torn: Mask = (h + slack < np.maximum(o, c)) | (low - slack > np.minimum(o, c)) | (h + slack < low)
    rows.drop_or_fail("high or low that does not bracket open and close", torn)


def drop_off_grid(rows: Rows, interval_seconds: int) -> None:
    """By policy: candles that are not on the phase that most candles share."""
    import numpy as np

    phase = rows.frame["time"].to_numpy() % (interval_seconds * NANOSECONDS)
    values, counts = np.unique(phase, return_counts=True)
    rows.drop_or_fail("candle off the grid", phase != values[np.argmax(counts)])


def drop_made_up(rows: Rows) -> None:
    """By policy: flat candles of volume 0 that repeat the close before them, as written over outages."""
    import numpy as np

    frame = rows.frame
    o, h, low, c = (frame[name].to_numpy() for name in PRICES)
    flat = (frame["volume"].to_numpy() == 0) & (h == low) & (o == c)
    if flat.mean() < 0.5:
        rows.drop_or_fail("flat candle of volume 0", np.asarray(flat))


def drop_spikes(rows: Rows) -> None:
    """By policy: a price that the candles before and after refute."""
    import numpy as np

    frame = rows.frame
    if len(frame) < 2 * SPIKE_NEIGHBOURS + 1:
        return
    # A misprint in one candle must not be what refutes its neighbour, so bodies are compared with medians.
    low, high = (np.log(frame[name].to_numpy()) for name in ("low", "high"))
    o, c = (np.log(frame[name].to_numpy()) for name in ("open", "close"))
    middles = np.stack([np.minimum(o, c), np.maximum(o, c)])
    near = []
    for shift in (*range(-SPIKE_NEIGHBOURS, 0), *range(1, SPIKE_NEIGHBOURS + 1)):
        near.append(np.roll((middles[0] + middles[1]) / 2, shift))
    around = np.sort(np.stack(near), axis=0)
    # The second lowest and highest of six: one bad neighbour does not count.
    below, above = around[1], around[-2]
    usual = _running_median(high - low)
    reach = np.maximum(SPIKE_LOG, SPIKE_RANGES * usual)
    spike = (high > above + reach) | (low < below - reach)
    edge = SPIKE_NEIGHBOURS
    spike[:edge] = _edge_spikes(low[: 4 * edge], high[: 4 * edge], reach[: 4 * edge])[:edge]
    spike[-edge:] = _edge_spikes(low[-4 * edge :][::-1], high[-4 * edge :][::-1], reach[-4 * edge :][::-1])[:edge][::-1]
    volume = frame["volume"].to_numpy()
    traded = volume > SPIKE_VOLUME * np.maximum(_running_median(volume), 1e-12)
    rows.drop_or_fail("spike that its neighbours refute", spike & ~traded)


def _edge_spikes(low: NDArray[np.float64], high: NDArray[np.float64], reach: NDArray[np.float64]) -> Mask:
    """At an end of the file there are neighbours on one side only."""
    import numpy as np

    below, above = np.median(low), np.median(high)
    found: Mask = (high > above + reach) | (low < below - reach)
    return found


def _running_median(values: NDArray[np.float64], width: int = 25) -> NDArray[np.float64]:
    """The median of blocks of `width`, held within each block: cheap, and no single value moves it."""
    import numpy as np

    n = len(values)
    padded = np.concatenate([values, np.repeat(values[-1:], -n % width)])
    return np.repeat(np.median(padded.reshape(-1, width), axis=1), width)[:n]
