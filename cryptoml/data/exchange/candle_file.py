"""A file of candles during an extraction: saved at intervals, locked against a second extraction."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import UnavailableError

if TYPE_CHECKING:
    from cryptoml.data.exchange.history import Gap, Page
    from cryptoml.data.exchange.raw_file import Extent
    from cryptoml.data.exchange.source import Candle

# Each save rewrites the file, so only the first page is saved immediately, later ones at intervals.
SAVE_EVERY_S = 10.0
GAPS_SHOWN = 20


@dataclass(frozen=True)
class ExtractionResult:
    """The result for one market: first and last candle of the whole file (ISO, UTC), and gaps in the added part."""

    symbol: str
    path: Path
    added: int
    first: str | None
    last: str | None
    missing: int
    gaps: tuple[tuple[str, int], ...]


@dataclass
class ExtractionFile:
    """A file during extraction: its previous extent, the added candles, and those not yet written."""

    path: Path
    symbol: str
    extent: Extent | None
    pending: list[Candle] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    added: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    saved_at: float = float("-inf")

    def take(self, page: Page) -> None:
        """Add a page, and save if the last save is long enough ago."""
        self.pending += page.candles
        self.gaps += page.gaps
        if time.monotonic() - self.saved_at > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write pending candles."""
        from cryptoml.data.exchange.raw_file import append_candles

        append_candles(self.path, self.pending, symbol=self.symbol)
        if self.pending:
            self.added += len(self.pending)
            self.first_ms = self.first_ms or self.pending[0][0]
            self.last_ms = self.pending[-1][0]
            self.pending = []
        self.saved_at = time.monotonic()

    def result(self) -> ExtractionResult:
        """Return the current content of the file."""
        first, last = (self.extent.first_ms, self.extent.last_ms) if self.extent else (self.first_ms, self.last_ms)
        longest = sorted(self.gaps, key=lambda gap: -gap.candles)[:GAPS_SHOWN]
        return ExtractionResult(
            symbol=self.symbol,
            path=self.path,
            added=self.added,
            first=format_utc(first),
            last=format_utc(self.last_ms or last),
            missing=sum(gap.candles for gap in self.gaps),
            gaps=tuple(
                (format_utc(gap.after_ms) or "", gap.candles) for gap in sorted(longest, key=lambda gap: gap.after_ms)
            ),
        )


@contextmanager
def extraction_lock(path: Path) -> Iterator[None]:
    """Hold the lock for extractions to this file; raises UnavailableError if another extraction holds it."""
    from cryptoml.system.files import locked, translate_os_errors

    def busy() -> UnavailableError:
        return UnavailableError(
            f"{path}: another extraction is writing this file.", hint="try again after it has finished"
        )

    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f".{path.name}.lock"), timeout_s=0, busy=busy):
        yield


def format_utc(milliseconds: int | None) -> str | None:
    """Format milliseconds since 1970 as YYYY-MM-DD HH:MM, UTC."""
    if milliseconds is None:
        return None
    return f"{datetime.fromtimestamp(milliseconds / 1000, tz=UTC):%Y-%m-%d %H:%M}"
