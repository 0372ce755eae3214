"""Repairs and drops invalid rows, by the policy `data.on_bad_rows`, and records each as a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from cryptoml.data.cleaning.quality import EXAMPLES, Action, Finding
from cryptoml.data.interval import default_max_no_trade, interval_from_seconds
from cryptoml.data.reading.column_names import PRICES
from cryptoml.data.reading.columns import COLUMNS_HINT
from cryptoml.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Names = NDArray[np.str_]

OnBadRows = Literal["drop", "fail"]
NANOSECONDS = 10**9

# With a larger share of empty hours the market is illiquid; otherwise an empty hour is an outage.
ILLIQUID_SHARE = 0.05
# With a larger share of rows off the grid, the interval is wrong.
MAX_OFF_GRID_SHARE = 0.2
# This many equal steps in a row are not gaps: that part of the file has another candle interval.
EQUAL_STEPS = 24
# With this many missing candles per existing one, some times must be wrong.
MAX_MISSING_PER_CANDLE = 20
# With a larger share of such rows, the columns are misinterpreted.
MAX_INCONSISTENT_SHARE = 0.2
# A last candle with less than this share of the lowest volume of the previous day is incomplete: the file was written
# before the candle ended.
UNFINISHED_VOLUME = 0.5
UNFINISHED_CANDLES = 24
AHEAD_OF_CLOCK = "candle later than this machine's clock (the clock is behind, or the times are not UTC)"


@dataclass
class Rows:
    """Rows that become candles. frame: time (ns, UTC), OHLCV as float64, and `row`, the position in the file."""

    source: str
    frame: pd.DataFrame
    where: Callable[[int], str]
    on_bad_rows: OnBadRows
    findings: list[Finding] = field(default_factory=list)

    def note(self, kind: str, action: Action, mask: Mask) -> None:
        """Record the rows of `mask` as a finding, or add them to the finding of the same kind."""
        if not mask.any():
            return
        count, examples = int(mask.sum()), self._examples(mask)
        for index, finding in enumerate(self.findings):
            if (finding.kind, finding.action) == (kind, action):
                examples = (finding.examples + examples)[:EXAMPLES]
                self.findings[index] = replace(finding, count=finding.count + count, examples=examples)
                return
        self.findings.append(Finding(kind, action, count, examples))

    def drop(self, kind: str, mask: Mask) -> None:
        """Drop the rows of `mask` and record them."""
        self.note(kind, "dropped", mask)
        if mask.any():
            self.frame = self.frame[~mask]

    def drop_or_fail(self, kind: str, mask: Mask, *, column: str | Names | None = None) -> None:
        """Drop the rows, or raise DataError, by policy. column: the wrong column, of all rows or per row."""
        if mask.any() and self.on_bad_rows == "fail":
            examples = "; ".join(self._examples(mask, column))
            raise DataError(
                f"{self.source}: {int(mask.sum()):,} x {kind}: {examples}.",
                hint="drop them with --set data.on_bad_rows=drop",
            )
        self.drop(kind, mask)

    def require(self, least: int) -> None:
        """Raise DataError if fewer than `least` rows remain."""
        if len(self.frame) >= least:
            return
        remaining = "no valid rows" if self.frame.empty else f"only {len(self.frame)} valid row"
        dropped = ", ".join(
            f"{finding.count:,} x {finding.kind}" for finding in self.findings if finding.action == "dropped"
        )
        raise DataError(
            f"{self.source}: {remaining}" + (f" (dropped: {dropped})." if dropped else "."),
            hint="check the file; at least two candles are needed",
        )

    def _examples(self, mask: Mask, column: str | Names | None = None) -> tuple[str, ...]:
        import numpy as np
        import pandas as pd

        examples = []
        for position in np.flatnonzero(mask)[:EXAMPLES]:
            row = self.frame.iloc[int(position)]
            time = pd.Timestamp(int(self.frame["time"].iloc[int(position)]))
            example = f"{self.where(int(row['row']))}: " + (
                "no time" if pd.isna(time) else f"{time:%Y-%m-%d %H:%M} UTC"
            )
            if column is not None:
                name = column if isinstance(column, str) else str(column[int(position)])
                example += f", {name} {row[name]:g}"
            examples.append(example)
        return tuple(examples)


def drop_invalid_prices(rows: Rows, *, has_volume: bool) -> None:
    """Drop, by policy, prices that are missing or not positive, and ranges that do not enclose open and close."""
    import numpy as np

    names = np.asarray(PRICES)
    missing = ~np.isfinite(rows.frame[list(PRICES)].to_numpy(dtype=np.float64))
    rows.drop_or_fail("row without a price", np.any(missing, axis=1), column=names[missing.argmax(axis=1)])
    not_positive = rows.frame[list(PRICES)].to_numpy(dtype=np.float64) <= 0
    rows.drop_or_fail("price of zero or below", np.any(not_positive, axis=1), column=names[not_positive.argmax(axis=1)])
    if has_volume:
        volume = rows.frame["volume"].to_numpy(dtype=np.float64)
        rows.drop_or_fail("volume missing or below zero", ~np.isfinite(volume) | (volume < 0), column="volume")
    o, h, lowest, c = (rows.frame[name].to_numpy(dtype=np.float64) for name in PRICES)
    tolerance = 1e-9 * np.abs(h)
    over = h + tolerance < np.maximum(o, c)
    inconsistent: Mask = over | (lowest - tolerance > np.minimum(o, c))
    if inconsistent.sum() > MAX_INCONSISTENT_SHARE * len(inconsistent):
        raise DataError(
            f"{rows.source}: in {int(inconsistent.sum()):,} of {len(inconsistent):,} rows high and low do not enclose "
            "open and close: the columns seem to be in another order.",
            hint=COLUMNS_HINT,
        )
    rows.drop_or_fail("high and low do not enclose open and close", inconsistent, column=np.where(over, "high", "low"))


def require_one_interval(rows: Rows, interval_seconds: int) -> None:
    """Raise DataError if a part of the file has another candle interval."""
    import numpy as np
    import pandas as pd

    times = rows.frame["time"].to_numpy(dtype=np.int64)
    steps = np.diff(times)
    starts = np.flatnonzero(np.r_[True, steps[1:] != steps[:-1]])
    lengths = np.diff(np.r_[starts, len(steps)])
    other = np.where(steps[starts] != interval_seconds * NANOSECONDS, lengths, 0)
    if other.max() < EQUAL_STEPS:
        return
    start = int(starts[other.argmax()])
    label, apart = (
        interval_from_seconds(seconds).label for seconds in (interval_seconds, int(steps[start]) // NANOSECONDS)
    )
    raise DataError(
        f"{rows.source}: contains candles of {label} and of {apart}, such as the {int(other.max()) + 1:,} from "
        f"{rows.where(int(rows.frame['row'].iloc[start]))} ({pd.Timestamp(int(times[start])):%Y-%m-%d %H:%M} UTC) on.",
        hint="split the file, or resample it to one interval",
    )


def require_dense_times(rows: Rows, interval_seconds: int) -> None:
    """Raise DataError if a time is so far from the others that most of the candles between them are missing."""
    import numpy as np
    import pandas as pd

    times = rows.frame["time"].to_numpy(dtype=np.int64)
    expected = int(times[-1] - times[0]) // (interval_seconds * NANOSECONDS) + 1
    if expected <= MAX_MISSING_PER_CANDLE * len(times):
        return
    gap = int(np.argmax(np.diff(times)))
    sides = " and ".join(
        f"{rows.where(int(rows.frame['row'].iloc[at]))} ({pd.Timestamp(int(times[at])):%Y-%m-%d %H:%M} UTC)"
        for at in (gap, gap + 1)
    )
    raise DataError(
        f"{rows.source}: {len(times):,} candles, but {expected:,} of {interval_from_seconds(interval_seconds).label} "
        f"are expected; the longest gap is between {sides}.",
        hint="correct the times that are far from the others",
    )


def off_grid(times: NDArray[np.int64], interval_seconds: int) -> Mask:
    """Return a mask of the times that are not on the most common phase."""
    import numpy as np

    phase = times % (interval_seconds * NANOSECONDS)
    values, counts = np.unique(phase, return_counts=True)
    off: Mask = phase != values[np.argmax(counts)]
    return off


def drop_off_grid(rows: Rows, interval_seconds: int) -> None:
    """Drop candles off the grid, by policy; too many of them are an error."""
    import numpy as np

    off = off_grid(rows.frame["time"].to_numpy(dtype=np.int64), interval_seconds)
    if off.mean() > MAX_OFF_GRID_SHARE:
        raise DataError(
            f"{rows.source}: {int(off.sum()):,} of {len(off):,} candles are not on a regular grid of "
            f"{interval_from_seconds(interval_seconds).label}.",
            hint="resample the file to one interval",
        )
    rows.drop_or_fail("candle off the grid", off)


def drop_flat_candles(rows: Rows, interval_seconds: int) -> None:
    """Drop flat candles of volume 0, which some sources write for outages, by policy.

    For intervals of an hour or more, a market where they are common is illiquid: there they are kept and noted, and for
    shorter ones if hardly any candle would remain.
    """
    import numpy as np

    frame = rows.frame
    o, h, low, c = (frame[name].to_numpy() for name in PRICES)
    volume = frame["volume"].to_numpy()
    flat = np.asarray((volume == 0) & (h == low) & (o == c))
    if not (volume > 0).any():
        return
    times = frame["time"].to_numpy(dtype=np.int64)
    expected = int(times[-1] - times[0]) // (interval_seconds * NANOSECONDS) + 1
    few_trades = expected > MAX_MISSING_PER_CANDLE * (len(flat) - flat.sum())
    is_long = default_max_no_trade(interval_from_seconds(interval_seconds)) == 0
    if few_trades or (is_long and flat.mean() > ILLIQUID_SHARE):
        rows.note("flat candle of volume 0, kept because many candles have no trades", "noted", flat)
    else:
        rows.drop_or_fail("flat candle of volume 0", flat, column="volume")


def drop_incomplete_last(rows: Rows, interval_seconds: int, *, now: pd.Timestamp) -> None:
    """Drop an incomplete last candle, by policy: it ends after `now`, or has too little volume.

    The volume is used only for intervals of an hour or more; on shorter ones, low volume is common.
    """
    import numpy as np

    clock = now.tz_localize("UTC") if now.tzinfo is None else now
    times = rows.frame["time"].to_numpy()
    late: Mask = times + interval_seconds * NANOSECONDS > clock.as_unit("ns").value
    # Only one candle can be incomplete; with several, the clock is behind or the times are not UTC.
    kind = "incomplete last candle" if late.sum() == 1 else AHEAD_OF_CLOCK
    rows.drop_or_fail(kind, late)
    volume = rows.frame["volume"].to_numpy()
    if interval_seconds < 3600 or len(volume) <= UNFINISHED_CANDLES:
        return
    last = np.zeros(len(volume), dtype=bool)
    last[-1] = volume[-1] < UNFINISHED_VOLUME * volume[-UNFINISHED_CANDLES - 1 : -1].min()
    rows.drop_or_fail("last candle with too little volume to be complete", last, column="volume")
