"""Fetch candles from an exchange into one file per market, continuing after the last stored candle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.data.exchange.available import check_available
from cryptoml.data.exchange.candle_file import ExtractionFile, ExtractionResult, extraction_lock, format_utc
from cryptoml.errors import CryptomlError, DataError, UnavailableError, UsageError
from cryptoml.system.plurals import counted

if TYPE_CHECKING:
    from cryptoml.data.exchange.source import Source, Timeframe

PROGRESS_EVERY_S = 1.0


@dataclass(frozen=True)
class ExtractRequest:
    """What to fetch. output: a folder, or a file for a single symbol. since and until: dates in UTC."""

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
    """A symbol that could not be fetched, and its error."""

    symbol: str
    error: CryptomlError


@dataclass(frozen=True)
class ExtractResult:
    """Fetched markets and failed symbols. error: one error for all failures, which sets the exit code."""

    exchange: str
    interval: str
    markets: tuple[ExtractionResult, ...]
    error: CryptomlError | None
    failed: tuple[Failed, ...] = ()


@dataclass(frozen=True)
class _Span:
    """The period to fetch and the exchange's current time, in ms since the epoch (UTC).

    newest_candles: as in `SourceSpec`.
    """

    since_ms: int
    until_ms: int | None
    now_ms: int
    newest_candles: int | None


def extract(request: ExtractRequest, *, on_event: events.OnEvent = events.ignore) -> ExtractResult:
    """Fetch every symbol and keep all fetched candles, also after an error.

    A symbol that fails is listed in `failed` and the others continue. An exchange that becomes unavailable ends the
    extraction.

    Raise UsageError for an unknown exchange or interval, or if the exchange lists none of the symbols;
    UnavailableError if the exchange is unavailable at the start; and the symbol's own error if only one was requested.
    """
    from cryptoml.data.exchange.sources import find_source

    since_ms, until_ms = _milliseconds(request.since, "--since"), None
    if request.until is not None:
        until_ms = _milliseconds(request.until, "--until")
        if until_ms <= since_ms:
            raise UsageError(
                f"--until {request.until} is not after --since {request.since}.", hint="choose an earlier --since"
            )
    spec = find_source(request.exchange)
    exchange = spec.open(url=request.url, on_event=on_event)
    timeframe = exchange.timeframe(request.interval)
    symbols, failed = _resolve_symbols(exchange, request.symbols)
    files = output_files(request.output, [*symbols, *(one.symbol for one in failed)], timeframe.name)
    now_ms = exchange.now_ms()
    if since_ms > now_ms:
        raise UsageError(f"--since {request.since} is in the future.", hint="choose an earlier --since")
    span = _Span(since_ms, until_ms, now_ms, spec.newest_candles)
    done, outage = _fetch_each(
        list(zip(symbols, files, strict=False)), failed, exchange, timeframe, span, request, on_event
    )
    empty = [market.symbol for market in done if market.last is None]
    if empty and outage is None:
        outage = DataError(
            f"{spec.key}: no complete {timeframe.name} candle of {', '.join(empty)} in the requested period.",
            hint="choose an earlier --since, or wait until a candle is complete",
        )
    asked = len(symbols) + sum(one.symbol not in symbols for one in failed)
    return ExtractResult(spec.key, timeframe.name, tuple(done), outage or _error_of(failed, asked), tuple(failed))


def _fetch_each(
    places: Sequence[tuple[str, Path]],
    failed: list[Failed],
    exchange: Source,
    timeframe: Timeframe,
    span: _Span,
    request: ExtractRequest,
    on_event: events.OnEvent,
) -> tuple[list[ExtractionResult], CryptomlError | None]:
    """Fetch into each file; return the markets and the error if the exchange is unavailable. Append to `failed`."""
    done: list[ExtractionResult] = []
    outage: CryptomlError | None = None
    is_single = len(places) + len(failed) == 1
    for symbol, path in places:
        try:
            with extraction_lock(path):
                filling = _open_file(path, symbol, timeframe)
                try:
                    _fill(filling, exchange, timeframe, span, request, on_event)
                except UnavailableError as error:
                    outage = error
                finally:
                    filling.save()
        except CryptomlError as error:
            if is_single:
                raise
            failed.append(Failed(symbol, error))
            on_event(events.Warned(f"{symbol}: {error.fact}"))
            continue
        done.append(filling.result())
        if outage is not None:
            break
        _report_market(done[-1], timeframe, on_event)
    return done, outage


def _resolve_symbols(exchange: Source, texts: Sequence[str]) -> tuple[list[str], list[Failed]]:
    """Return the exchange's names of the markets and the unknown ones. Raise UsageError if all are unknown."""
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
    """Return one error for all failed symbols, of the type of the first; None without failures."""
    if not failed:
        return None
    facts = " ".join(f"{one.symbol}: {one.error.fact}" for one in failed)
    return type(failed[0].error)(f"{len(failed)} of {of} symbols failed. {facts}", hint=failed[0].error.hint)


def output_files(output: Path, symbols: Sequence[str], interval: str) -> list[Path]:
    """Return a file per symbol: `output` itself if it is a file, else {SYMBOL}_{interval}.csv in it."""
    from cryptoml.data.exchange.raw_file import ENDINGS
    from cryptoml.data.symbols import normalize_symbol

    if output.name.endswith(ENDINGS) and not output.is_dir():
        if len(symbols) > 1:
            raise UsageError(
                f"{output}: one file cannot hold {len(symbols)} symbols.", hint="pass a folder: -o data/raw"
            )
        return [output]
    if output.suffix.lower() in (".parquet", ".pq", ".json", ".feather", ".gz"):
        raise UsageError(
            f"{output}: unsupported file format for raw candles.",
            hint="use a .csv or .csv.gz file; cryptoml transform-data writes Parquet",
        )
    return [output / f"{normalize_symbol(symbol)}_{interval}.csv" for symbol in symbols]


def _open_file(path: Path, symbol: str, timeframe: Timeframe) -> ExtractionFile:
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
    check_available(filling, span.newest_candles, timeframe, since_ms=since_ms, now_ms=span.now_ms)
    if filling.extent is not None:
        _report_continuation(filling, exchange, timeframe, span, request, on_event)
    step, started, reported_at, unreported = f"{filling.symbol} {timeframe.name}", time.monotonic(), 0.0, 0
    for page in pages(
        exchange,
        filling.symbol,
        timeframe,
        since_ms=since_ms,
        last_ms=last_ms,
        until_ms=span.until_ms,
        now_ms=span.now_ms,
    ):
        if not reported_at:
            to_come = min(span.until_ms or span.now_ms, span.now_ms) - page.candles[0][0]
            on_event(events.StepStarted(step, max(to_come // timeframe.milliseconds, len(page.candles))))
        filling.take(page)
        unreported += len(page.candles) + sum(gap.candles for gap in page.gaps if gap.after_ms >= page.candles[0][0])
        if not reported_at or time.monotonic() - reported_at > PROGRESS_EVERY_S:
            on_event(events.StepAdvanced(step, f"to {format_utc(page.candles[-1][0])}", unreported))
            reported_at, unreported = time.monotonic(), 0
    if reported_at:
        if unreported:
            on_event(events.StepAdvanced(step, "", unreported))
        on_event(events.StepFinished(step, time.monotonic() - started))


def _report_continuation(
    filling: ExtractionFile,
    exchange: Source,
    timeframe: Timeframe,
    span: _Span,
    request: ExtractRequest,
    on_event: events.OnEvent,
) -> None:
    """Report where the file continues, and warn if --since is before its first candle: a file only grows at its end."""
    extent = filling.extent
    assert extent is not None
    if extent.truncated:
        on_event(events.Warned(f"{filling.path}: the last line is incomplete and is fetched again"))
    on_event(events.Info(f"{filling.path}: continuing after {format_utc(extent.last_ms)}"))
    if not request.since_is_asked or span.since_ms >= extent.first_ms:
        return
    earlier = exchange.page(filling.symbol, timeframe, since_ms=span.since_ms)
    if earlier and earlier[0][0] < extent.first_ms:
        on_event(
            events.Warned(
                f"{filling.path}: starts at {format_utc(extent.first_ms)}, but the exchange has candles since "
                f"{format_utc(earlier[0][0])}; fetch them into another file with -o"
            )
        )


def _report_market(market: ExtractionResult, timeframe: Timeframe, on_event: events.OnEvent) -> None:
    name = f"{market.symbol} {timeframe.name}"
    if not market.added:
        on_event(events.Info(f"{name}: no new candles" + (f" after {market.last}" if market.last else "")))
    else:
        on_event(
            events.Info(
                f"{name}: {counted(market.added, 'candle')} added; the file covers {market.first} to {market.last} UTC"
            )
        )
    if market.missing:
        after, candles = max(market.gaps, key=lambda gap: gap[1])
        on_event(
            events.Warned(
                f"{name}: {counted(market.missing, 'candle')} missing at the exchange; "
                f"longest gap: {candles:,} after {after}"
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
            f"{option} {text!r} is not a date.", hint="use a date such as 2019-01-01 or 2019-01-01T06:00"
        ) from error
