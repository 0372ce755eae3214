"""Fetch candles from an exchange into one file a market, going on where the last call stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.data.exchange.candle_file import ExtractionFile, ExtractionResult, extraction_lock, format_utc
from cryptoml.errors import CryptomlError, DataError, UnavailableError, UsageError

if TYPE_CHECKING:
    from cryptoml.data.exchange.source import Source, Timeframe

NEWS_EVERY_S = 1.0


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
class Failed:
    """A symbol that could not be fetched, and why."""

    symbol: str
    error: CryptomlError


@dataclass(frozen=True)
class ExtractResult:
    """What was fetched, which symbols failed, and the error to end with: of one symbol, or of all that failed."""

    exchange: str
    interval: str
    markets: tuple[ExtractionResult, ...]
    error: CryptomlError | None
    failed: tuple[Failed, ...] = ()


@dataclass(frozen=True)
class _Span:
    """From when to when is fetched, and what time it is at the exchange (ms, UTC)."""

    since_ms: int
    until_ms: int | None
    now_ms: int


def extract(request: ExtractRequest, *, on_event: events.OnEvent = events.ignore) -> ExtractResult:
    """Fetch every symbol; what was fetched is kept whatever happens.

    A symbol that fails does not stop the others: it is in `failed`. An exchange that goes away does.

    Raises UsageError for an unknown exchange or interval, or where it has none of the markets, UnavailableError when
    the exchange is away from the start, and what went wrong where a single symbol was asked for.
    """
    from cryptoml.data.exchange.sources import find_source

    since_ms, until_ms = _milliseconds(request.since, "--since"), None
    if request.until is not None:
        until_ms = _milliseconds(request.until, "--until")
        if until_ms <= since_ms:
            raise UsageError(f"--until {request.until} is not after --since {request.since}.")
    spec = find_source(request.exchange)
    exchange = spec.open(url=request.url, on_event=on_event)
    timeframe = exchange.timeframe(request.interval)
    symbols, failed = _known(exchange, request.symbols)
    files = output_files(request.output, [*symbols, *(one.symbol for one in failed)], timeframe.name)
    now_ms = exchange.now_ms()
    if since_ms > now_ms:
        raise UsageError(f"--since {request.since} is in the future.")
    span = _Span(since_ms, until_ms, now_ms)
    done, away = _fetch_each(
        list(zip(symbols, files, strict=False)), failed, exchange, timeframe, span, request, on_event
    )
    empty = [market.symbol for market in done if market.last is None]
    if empty and away is None:
        away = DataError(
            f"{spec.key}: no complete {timeframe.name} candle of {', '.join(empty)} in the time asked for.",
            hint="choose an earlier --since, or wait until a candle is complete",
        )
    asked = len(symbols) + sum(one.symbol not in symbols for one in failed)
    return ExtractResult(spec.key, timeframe.name, tuple(done), away or _error_of(failed, asked), tuple(failed))


def _fetch_each(
    places: Sequence[tuple[str, Path]],
    failed: list[Failed],
    exchange: Source,
    timeframe: Timeframe,
    span: _Span,
    request: ExtractRequest,
    on_event: events.OnEvent,
) -> tuple[list[ExtractionResult], CryptomlError | None]:
    """Fill each file; what was fetched, and the error of an exchange that went away. Adds to `failed`."""
    done: list[ExtractionResult] = []
    away: CryptomlError | None = None
    alone_asked = len(places) + len(failed) == 1
    for symbol, path in places:
        try:
            with extraction_lock(path):
                filling = _begin(path, symbol, timeframe)
                try:
                    _fill(filling, exchange, timeframe, span, request, on_event)
                except UnavailableError as error:
                    away = error
                finally:
                    filling.save()
        except CryptomlError as error:
            if alone_asked:
                raise
            failed.append(Failed(symbol, error))
            on_event(events.Warned(f"{symbol}: {error.fact}"))
            continue
        done.append(filling.result())
        if away is not None:
            break
        _tell(done[-1], timeframe, on_event)
    return done, away


def _known(exchange: Source, texts: Sequence[str]) -> tuple[list[str], list[Failed]]:
    """The markets that the exchange has, and the others; raises UsageError where it has none of them."""
    symbols: dict[str, None] = {}
    failed: list[Failed] = []
    for text in dict.fromkeys(texts):
        try:
            symbols[exchange.symbol(text)] = None
        except UsageError as error:
            failed.append(Failed(text, error))
    if failed and not symbols:
        raise failed[0].error
    return list(symbols), failed


def _error_of(failed: Sequence[Failed], of: int) -> CryptomlError | None:
    """One error for all symbols that failed, of the kind of the first."""
    if not failed:
        return None
    facts = " ".join(f"{one.symbol}: {one.error.fact}" for one in failed)
    return type(failed[0].error)(f"{len(failed)} of {of} symbols failed. {facts}", hint=failed[0].error.hint)


def output_files(output: Path, symbols: Sequence[str], interval: str) -> list[Path]:
    """A file for each symbol: `output` itself when it names one, else {SYMBOL}_{interval}.csv in that folder."""
    from cryptoml.data.exchange.raw_file import ENDINGS
    from cryptoml.data.symbols import normalize_symbol

    if output.name.endswith(ENDINGS) and not output.is_dir():
        if len(symbols) > 1:
            raise UsageError(f"{output}: one file cannot hold {len(symbols)} symbols.", hint="name a folder with -o")
        return [output]
    if output.suffix.lower() in (".parquet", ".pq", ".json", ".feather", ".gz"):
        raise UsageError(
            f"{output}: candles are not added to files of this form.",
            hint="end the name in .csv or .csv.gz; cryptoml transform-data makes Parquet of it",
        )
    return [output / f"{normalize_symbol(symbol)}_{interval}.csv" for symbol in symbols]


def _begin(path: Path, symbol: str, timeframe: Timeframe) -> ExtractionFile:
    from cryptoml.data.exchange.raw_file import read_extent

    return ExtractionFile(path, symbol, read_extent(path, symbol=symbol, timeframe=timeframe))


def _fill(
    filling: ExtractionFile,
    exchange: Source,
    timeframe: Timeframe,
    span: _Span,
    request: ExtractRequest,
    on_event: events.OnEvent,
) -> None:
    from cryptoml.data.exchange.history import pages

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
            on_event(events.StepAdvanced(step, f"to {format_utc(page.candles[-1][0])}", untold))
            told_at, untold = time.monotonic(), 0
    if told_at:
        if untold:
            on_event(events.StepAdvanced(step, "", untold))
        on_event(events.StepFinished(step, time.monotonic() - started))


def _tell_how_it_goes_on(
    filling: ExtractionFile,
    exchange: Source,
    timeframe: Timeframe,
    span: _Span,
    request: ExtractRequest,
    on_event: events.OnEvent,
) -> None:
    """Say what the file makes of --since: it is only continued at its end."""
    extent = filling.extent
    assert extent is not None
    if extent.truncated:
        on_event(events.Warned(f"{filling.path}: the last line was cut short; it is fetched again"))
    on_event(events.Info(f"{filling.path}: goes on after {format_utc(extent.last_ms)}"))
    if not request.since_is_asked or span.since_ms >= extent.first_ms:
        return
    earlier = exchange.page(filling.symbol, timeframe, since_ms=span.since_ms)
    if earlier and earlier[0][0] < extent.first_ms:
        on_event(
            events.Warned(
                f"{filling.path}: begins at {format_utc(extent.first_ms)}, and there are candles from "
                f"{format_utc(earlier[0][0])} on; name another file with -o to fetch those too"
            )
        )


def _tell(market: ExtractionResult, timeframe: Timeframe, on_event: events.OnEvent) -> None:
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
            f"{option} {text!r} is not a date.", hint="write it like 2019-01-01 or 2019-01-01T06:00"
        ) from error
