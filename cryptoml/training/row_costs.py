"""How many rows for training remain of a file of candles, and what costs the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.data.grid import to_grid
from cryptoml.system.plurals import counted

if TYPE_CHECKING:
    from cryptoml.data.candles import Candles
    from cryptoml.features.pipeline import FeaturePipeline

# Gaps of up to this many candles are suggested for "no trade".
SHORT_GAP = 3


@dataclass(frozen=True)
class RowCosts:
    """The number of candles, of rows for training, and of the rows lost.

    warmup: at the start, before the features have their history; gaps: after a gap, until no window contains it;
    target: whose target is missing, at the end and before a gap. n_gaps: gaps that are not "no trade"; n_short: those
    of up to SHORT_GAP candles.
    """

    candles: int
    rows: int
    warmup: int
    gaps: int
    target: int
    n_gaps: int
    n_short: int

    def lines(self) -> list[str]:
        """Return what gaps cost, as sentences; empty if they cost nothing."""
        if not self.gaps:
            return []
        lines = [
            f"{counted(self.n_gaps, 'gap')} cost {self.gaps:,} of {self.candles:,} rows: a row is only used if none of "
            "its windows contains a gap"
        ]
        if self.n_short:
            lines.append(
                f"--set data.max_no_trade_candles={SHORT_GAP} treats gaps of up to {SHORT_GAP} candles as no trade "
                f"({self.n_short:,} of them)"
            )
        return lines


def row_costs(candles: Candles, pipeline: FeaturePipeline, *, horizon: int, max_no_trade: int) -> RowCosts:
    """Count the rows of a file; the features of a row need `pipeline.warmup_candles` candles without a gap."""
    import numpy as np

    grid = to_grid(candles.frame, candles.interval, max_no_trade_candles=max_no_trade)
    known = grid["close"].notna().to_numpy()
    is_candle = known & ~grid["no_trade"].to_numpy()
    place = np.arange(len(known))
    last_gap = np.maximum.accumulate(np.where(known, -1, place))
    has_history = place - last_gap >= pipeline.warmup_candles
    has_target = np.zeros(len(known), dtype=bool)
    has_target[: len(known) - horizon] = known[horizon:]
    starts = np.flatnonzero(known[:-1] & ~known[1:]) + 1
    ends = np.flatnonzero(~known[:-1] & known[1:]) + 1
    lengths = ends - starts
    return RowCosts(
        candles=int(is_candle.sum()),
        rows=int((is_candle & has_history & has_target).sum()),
        warmup=int((is_candle & ~has_history & (last_gap < 0)).sum()),
        gaps=int((is_candle & ~has_history & (last_gap >= 0)).sum()),
        target=int((is_candle & has_history & ~has_target).sum()),
        n_gaps=len(lengths),
        n_short=int((lengths <= SHORT_GAP).sum()),
    )
