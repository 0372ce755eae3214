"""What was found in a file of candles, and what was done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Action = Literal["repaired", "dropped", "noted"]
EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """One kind of trouble: what was done, in how many rows, and at most five examples."""

    kind: str
    action: Action
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Break:
    """A gap too long to be read as "no trade": the candles missing after `after` (ISO, UTC)."""

    after: str
    candles: int


@dataclass(frozen=True)
class QualityReport:
    """A file's rows, candles, gaps and findings; times are ISO, UTC, of open times."""

    source: str
    symbol: str
    interval: str
    rows_read: int
    candles: int
    start: str
    end: str
    missing_candles: int
    no_trade_candles: int
    breaks: tuple[Break, ...]
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> QualityReport:
        """The report that `to_dict` described."""
        plain = dict(stored)
        plain["breaks"] = tuple(Break(**one) for one in stored["breaks"])
        plain["findings"] = tuple(Finding(**{**one, "examples": tuple(one["examples"])}) for one in stored["findings"])
        return cls(**plain)

    def summary(self) -> list[str]:
        """A sentence a fact, for people."""
        lines = [
            f"{self.source}: {self.candles:,} candles of {self.interval}, {self.symbol}, {self.start} to {self.end} UTC"
        ]
        if self.missing_candles:
            lines.append(
                f"{self.missing_candles:,} candles are missing: {self.no_trade_candles:,} read as no trade, "
                f"{sum(gap.candles for gap in self.breaks):,} in {len(self.breaks)} breaks"
            )
        for finding in self.findings:
            example = f" (such as {finding.examples[0]})" if finding.examples else ""
            lines.append(f"{finding.action}: {finding.count:,} x {finding.kind}{example}")
        return lines
