"""Fetch candles from an exchange into one file a market, going on where the last call stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.errors import CryptomlError, UnavailableError, UsageError

if TYPE_CHECKING:
    from cryptoml.data.exchange import Candle, Exchange, Timeframe
    from cryptoml.data.history import Gap, Page
    from cryptoml.data.raw_file import Extent

# The file is rewritten for each save, so only the first page is saved at once, the others by the clock.
SAVE_EVERY_S = 10.0
NEWS_EVERY_S = 1.0
GAPS_SHOWN = 20


@dataclass(frozen=True)
class ExtractRequest:
    """What to fetch. output: a folder, or the file's name for a single symbol. since and until: dates, UTC."""

    exchange: str
    symbols: Sequence[str]
    interval: str
    since: str
    since_is_asked: bool
    until: str | None
    output: Path
    url: str | None = None


@dataclass(frozen=True)
class Extracted:
    """One market's file after the call; first and last are of the whole file (ISO, UTC), gaps of what was added."""

    symbol: str
    path: Path
    added: int
    first: str | None
    last: str | None
    missing: int
    gaps: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ExtractResult:
    """What was fetched, and the error that ended it early."""

    exchange: str
    interval: str
    markets: tuple[Extracted, ...]
    error: CryptomlError | None


@dataclass(frozen=True)
class _Span:
    """From when to when is fetched, and what time it is at the exchange (ms, UTC)."""

    since_ms: int
    until_ms: int | None
    now_ms: int


@dataclass
class _Filling:
    """A file on its way: what it held, what was added, and what waits to be written."""

    path: Path
    symbol: str
    extent: Extent | None
    waiting: list[Candle] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    added: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    saved_at: float = float("-inf")

    def take(self, page: Page) -> None:
        """Keep a page, and save when it is time."""
        self.waiting += page.candles
        self.gaps += page.gaps
        if time.monotonic() - self.saved_at > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write what waits."""
        from cryptoml.data.raw_file import append_candles

        append_candles(self.path, self.waiting, symbol=self.symbol)
        if self.waiting:
            self.added += len(self.waiting)
            self.first_ms = self.first_ms or self.waiting[0][0]
            self.last_ms = self.waiting[-1][0]
            self.waiting = []
        self.saved_at = time.monotonic()

    def result(self) -> Extracted:
        """What is in the file now."""
        first, last = (self.extent.first_ms, self.extent.last_ms) if self.extent else (self.first_ms, self.last_ms)
        longest = sorted(self.gaps, key=lambda gap: -gap.candles)[:GAPS_SHOWN]
        return Extracted(
            symbol=self.symbol,
            path=self.path,
            added=self.added,
            first=_iso(first),
            last=_iso(self.last_ms or last),
            missing=sum(gap.candles for gap in self.gaps),
            gaps=tuple(
                (_iso(gap.after_ms) or "", gap.candles) for gap in sorted(longest, key=lambda gap: gap.after_ms)
            ),
        )


def extract(request: ExtractRequest, *, on_event: events.OnEvent = events.ignore) -> ExtractResult:
    """Fetch every symbol; what was fetched is kept whatever happens, and an exchange that goes away ends up in `error`.

    Raises UsageError for an unknown exchange, market or interval before anything is fetched, UnavailableError when
    the exchange is away from the start, DataError for a file that is not this market's.
    """
    from cryptoml.data.exchange import open_exchange
    from cryptoml.data.sources import find_source

    since_ms, until_ms = _milliseconds(request.since, "--since"), None
    if request.until is not None:
        until_ms = _milliseconds(request.until, "--until")
        if until_ms <= since_ms:
            raise UsageError(f"--until {request.until} is not after --since {request.since}.")
    exchange = open_exchange(find_source(request.exchange), url=request.url, on_event=on_event)
    timeframe = exchange.timeframe(request.interval)
    symbols = list(dict.fromkeys(exchange.symbol(text) for text in request.symbols))
    files = output_files(request.output, symbols, timeframe.name)
    now_ms = exchange.now_ms()
    if since_ms > now_ms:
        raise UsageError(f"--since {request.since} is in the future.")
    span = _Span(since_ms, until_ms, now_ms)
    done: list[Extracted] = []
    error = None
    for symbol, path in zip(symbols, files, strict=True):
        with _alone(path):
            filling = _begin(path, symbol, timeframe)
            try:
                _fill(filling, exchange, timeframe, span, request, on_event)
            except UnavailableError as away:
                error = away
            finally:
                filling.save()
        done.append(filling.result())
        if error is not None:
            break
        _tell(done[-1], timeframe, on_event)
    return ExtractResult(exchange.source.key, timeframe.name, tuple(done), error)


def output_files(output: Path, symbols: Sequence[str], interval: str) -> list[Path]:
    """A file for each symbol: `output` itself when it names one, else {SYMBOL}_{interval}.csv in that folder."""
    from cryptoml.data.raw_file import FORMS
    from cryptoml.data.symbols import plain_symbol

    if output.name.endswith(FORMS) and not output.is_dir():
        if len(symbols) > 1:
            raise UsageError(f"{output}: one file cannot hold {len(symbols)} symbols.", mend="name a folder with -o")
        return [output]
    if output.suffix.lower() in (".parquet", ".pq", ".json", ".feather", ".gz"):
        raise UsageError(
            f"{output}: candles are not added to files of this form.",
            mend="end the name in .csv or .csv.gz; cryptoml transform-data makes Parquet of it",
        )
    return [output / f"{plain_symbol(symbol)}_{interval}.csv" for symbol in symbols]


def _begin(path: Path, symbol: str, timeframe: Timeframe) -> _Filling:
    from cryptoml.data.raw_file import read_extent

    return _Filling(path, symbol, read_extent(path, symbol=symbol, timeframe=timeframe))


def _fill(
    filling: _Filling,
    exchange: Exchange,
    timeframe: Timeframe,
    span: _Span,
    request: ExtractRequest,
    on_event: events.OnEvent,
) -> None:
    from cryptoml.data.history import pages

    since_ms, last_ms = span.since_ms, None
    if filling.extent is not None:
        last_ms = filling.extent.last_ms
        since_ms = last_ms + timeframe.milliseconds
        _tell_how_it_goes_on(filling, exchange, timeframe, span, request, on_event)
    step, started, told_at, untold = f"{filling.symbol} {timeframe.name}", time.monotonic(), 0.0, 0
    for page in pages(
        exchange,
        filling.symbol,
        timeframe,
        since_ms=since_ms,
        last_ms=last_ms,
        until_ms=span.until_ms,
        now_ms=span.now_ms,
    ):
        if not told_at:
            to_come = min(span.until_ms or span.now_ms, span.now_ms) - page.candles[0][0]
            on_event(events.StepStarted(step, max(to_come // timeframe.milliseconds, len(page.candles))))
        filling.take(page)
        untold += len(page.candles) + sum(gap.candles for gap in page.gaps if gap.after_ms >= page.candles[0][0])
        if not told_at or time.monotonic() - told_at > NEWS_EVERY_S:
            on_event(events.StepAdvanced(step, f"to {_iso(page.candles[-1][0])}", untold))
            told_at, untold = time.monotonic(), 0
    if told_at:
        if untold:
            on_event(events.StepAdvanced(step, "", untold))
        on_event(events.StepFinished(step, time.monotonic() - started))


def _tell_how_it_goes_on(
    filling: _Filling,
    exchange: Exchange,
    timeframe: Timeframe,
    span: _Span,
    request: ExtractRequest,
    on_event: events.OnEvent,
) -> None:
    """Say what the file makes of --since: it is only continued at its end."""
    extent = filling.extent
    assert extent is not None
    if extent.torn:
        on_event(events.Warned(f"{filling.path}: the last line was cut short; it is fetched again"))
    on_event(events.Info(f"{filling.path}: goes on after {_iso(extent.last_ms)}"))
    if not request.since_is_asked or span.since_ms >= extent.first_ms:
        return
    earlier = exchange.page(filling.symbol, timeframe, since_ms=span.since_ms)
    if earlier and earlier[0][0] < extent.first_ms:
        on_event(
            events.Warned(
                f"{filling.path}: begins at {_iso(extent.first_ms)}, and there are candles from "
                f"{_iso(earlier[0][0])} on; name another file with -o to fetch those too"
            )
        )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep a second extraction off the same file; the lock goes when the process does."""
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
        lock.acquire()
    except Timeout:
        raise UnavailableError(
            f"{path}: another extraction is writing this file.", mend="try again when it is over"
        ) from None
    except OSError as error:
        from cryptoml.tracking.files import os_error

        raise os_error(error, path) from error
    try:
        yield
    finally:
        lock.release()


def _tell(market: Extracted, timeframe: Timeframe, on_event: events.OnEvent) -> None:
    name = f"{market.symbol} {timeframe.name}"
    if not market.added:
        on_event(events.Info(f"{name}: nothing new" + (f" after {market.last}" if market.last else "")))
    else:
        on_event(
            events.Info(f"{name}: {market.added:,} candles added, the file has {market.first} to {market.last} UTC")
        )
    if market.missing:
        after, candles = max(market.gaps, key=lambda gap: gap[1])
        on_event(
            events.Warned(
                f"{name}: the exchange lacks {market.missing:,} candles; longest gap: {candles:,} after {after}"
            )
        )


def _milliseconds(text: str, option: str) -> int:
    import pandas as pd

    try:
        time_stamp = pd.Timestamp(text)
        if pd.isna(time_stamp):
            raise ValueError("no time")
        utc = time_stamp.tz_localize("UTC") if time_stamp.tzinfo is None else time_stamp.tz_convert("UTC")
        return max(int(utc.timestamp() * 1000), 0)
    except (ValueError, OverflowError, TypeError) as error:
        raise UsageError(
            f"{option} {text!r} is not a date.", mend="write it like 2019-01-01 or 2019-01-01T06:00"
        ) from error


def _iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(milliseconds / 1000, tz=UTC):%Y-%m-%d %H:%M}"
