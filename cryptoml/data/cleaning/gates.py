"""The quality gates: what candles must show to become a data set, answered from their report alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.config.schema import QualitySection
from cryptoml.data.cleaning.quality import QualityReport

if TYPE_CHECKING:
    import pandas as pd

COPIES = ("exact copy of another row", "rounded copy of another row", "unfinished copy of another row")
SPIKES = ("spike that its neighbours refute",)


@dataclass(frozen=True)
class GateAnswer:
    """One gate: the value found, the most that is allowed, and the fact in words."""

    gate: str
    value: float
    limit: float
    fact: str

    @property
    def passed(self) -> bool:
        """Whether the value is within the limit."""
        return self.value <= self.limit


def check_quality(report: QualityReport, limits: QualitySection, *, age_intervals: float | None) -> list[GateAnswer]:
    """Every gate that is on, in order. age_intervals: how long ago the newest candle ended, in candles.

    Shares: candles missing in breaks, of those that should be there; copied rows and misprints, of all rows read.
    """
    missing = report.missing_candles - report.no_trade_candles
    due = report.candles + missing
    copies, spikes = _count(report, COPIES), _count(report, SPIKES)
    answers = [
        _share("missing", missing, due, limits, "max_missing_share", "candles are missing"),
        _share("duplicates", copies, report.rows_read, limits, "max_duplicate_share", "rows copy another one"),
        _share("spikes", spikes, report.rows_read, limits, "max_spike_share", "rows are misprints"),
    ]
    if limits.max_age_intervals is not None and age_intervals is not None:
        most = limits.max_age_intervals
        fact = (
            f"the newest candle ({report.end} UTC) ended {age_intervals:,.1f} candles ago, "
            f"at most {most:,} are allowed (quality.max_age_intervals)"
        )
        answers.append(GateAnswer("age", age_intervals, most, fact))
    return answers


def age_in_intervals(newest_open: pd.Timestamp, interval: pd.Timedelta, *, now: pd.Timestamp) -> float:
    """How long ago the newest candle ended, in candles; 0 where it has not."""
    return max(float((now - newest_open - interval) / interval), 0.0)


def _share(gate: str, count: int, of: int, limits: QualitySection, key: str, what: str) -> GateAnswer:
    value, most = count / of if of else 0.0, getattr(limits, key)
    fact = f"{count:,} of {of:,} {what} ({100 * value:.3g}%), at most {100 * most:g}% are allowed (quality.{key})"
    return GateAnswer(gate, value, most, fact)


def _count(report: QualityReport, kinds: tuple[str, ...]) -> int:
    return sum(finding.count for finding in report.findings if finding.kind in kinds)
