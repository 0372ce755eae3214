"""The quality report of a file of candles: findings, and the action taken for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Action = Literal["repaired", "dropped", "noted"]
EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """One kind of problem: the action taken, the number of rows, and at most five examples."""

    kind: str
    action: Action
    count: int
    examples: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return the finding as a sentence; a note without examples is about the file, not about rows."""
        if self.action == "noted" and not self.examples:
            return f"{self.action}: {self.kind}"
        example = f" (such as {self.examples[0]})" if self.examples else ""
        return f"{self.action}: {self.count:,} x {self.kind}{example}"


@dataclass(frozen=True)
class Break:
    """A gap too long for "no trade": the number of candles missing after `after` (ISO, UTC)."""

    after: str
    candles: int


@dataclass(frozen=True)
class QualityReport:
    """Rows, candles, gaps and findings of a file; all times are open times (ISO, UTC)."""

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
        """Convert to JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> QualityReport:
        """Restore the report from `to_dict`."""
        plain = dict(stored)
        plain["breaks"] = tuple(Break(**item) for item in stored["breaks"])
        plain["findings"] = tuple(
            Finding(**{**item, "examples": tuple(item["examples"])}) for item in stored["findings"]
        )
        return cls(**plain)

    def summary(self) -> list[str]:
        """Summarise the report, one sentence per line."""
        lines = [
            f"{self.source}: {self.candles:,} candles of {self.interval}, {self.symbol}, {self.start} to {self.end} UTC"
        ]
        if self.missing_candles:
            lines.append(
                f"{self.missing_candles:,} candles are missing: {self.no_trade_candles:,} treated as no trade, "
                f"{sum(gap.candles for gap in self.breaks):,} in {len(self.breaks)} breaks"
            )
        return [*lines, *(finding.sentence() for finding in self.findings)]
