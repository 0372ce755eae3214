"""The quality gates: limits that a quality report must meet before its candles become a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.config.schema import QualitySection
from cryptoml.data.cleaning.quality import QualityReport

if TYPE_CHECKING:
    import pandas as pd

# The second half of each are the names in reports of cryptoml 0.1.
DUPLICATES = (
    "exact duplicate of another row", "rounded duplicate of another row", "incomplete duplicate of another row",
    "exact copy of another row", "rounded copy of another row", "unfinished copy of another row",
)  # fmt: skip
# This many rows pass any share above 0.
FEW = 3
SPIKES = ("price spike", "spike that its neighbours refute")


@dataclass(frozen=True)
class GateResult:
    """The result of one gate: its value, its limit, and a sentence that states both.

    is_few: whether so few rows are concerned that their share of a short file says nothing.
    """

    gate: str
    value: float
    limit: float
    fact: str
    is_few: bool = False

    @property
    def passed(self) -> bool:
        """Whether the value is within the limit, or few rows are concerned."""
        return self.is_few or self.value <= self.limit


def check_quality(report: QualityReport, limits: QualitySection, *, age_intervals: float | None) -> list[GateResult]:
    """Apply all configured gates. age_intervals: time since the end of the latest candle, in candles.

    Missing candles are a share of the expected ones; duplicates and price spikes are shares of all rows read.
    """
    missing = report.missing_candles - report.no_trade_candles
    expected = report.candles + missing
    duplicates, spikes = _count(report, DUPLICATES), _count(report, SPIKES)
    results = [
        _share("missing", missing, expected, limits, "max_missing_share", "candles are missing"),
        _share("duplicates", duplicates, report.rows_read, limits, "max_duplicate_share", "rows are duplicates"),
        _share("spikes", spikes, report.rows_read, limits, "max_spike_share", "rows are price spikes"),
    ]
    if limits.max_age_intervals is not None and age_intervals is not None:
        limit = limits.max_age_intervals
        fact = (
            f"the latest candle ({report.end} UTC) ended {age_intervals:,.1f} candles ago, "
            f"the limit is {limit:,} (quality.max_age_intervals)"
        )
        results.append(GateResult("age", age_intervals, limit, fact))
    return results


def age_in_intervals(newest_open: pd.Timestamp, interval: pd.Timedelta, *, now: pd.Timestamp) -> float:
    """Return the time since the end of the latest candle, in candles; 0 if it has not ended."""
    return max(float((now - newest_open - interval) / interval), 0.0)


def _share(gate: str, count: int, total: int, limits: QualitySection, key: str, description: str) -> GateResult:
    value, limit = count / total if total else 0.0, getattr(limits, key)
    fact = f"{count:,} of {total:,} {description} ({100 * value:.3g}%), the limit is {100 * limit:g}% (quality.{key})"
    return GateResult(gate, value, limit, fact, is_few=limit > 0 and count <= FEW)


def _count(report: QualityReport, kinds: tuple[str, ...]) -> int:
    return sum(finding.count for finding in report.findings if finding.kind in kinds)
