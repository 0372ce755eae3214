"""Whether an exchange has the candles that are asked for; checked before any page is fetched."""

from __future__ import annotations

from cryptoml.data.exchange.candle_file import ExtractionFile, format_utc
from cryptoml.data.exchange.source import Timeframe
from cryptoml.errors import DataError, UsageError


def check_available(
    filling: ExtractionFile, newest_candles: int | None, timeframe: Timeframe, *, since_ms: int, now_ms: int
) -> None:
    """Raise UsageError, or DataError for a file to be continued, if the exchange has no candles since `since_ms`.

    newest_candles: as in `SourceSpec`.
    """
    if newest_candles is None:
        return
    # The newest candle is still open.
    first_ms = (now_ms // timeframe.milliseconds - newest_candles + 1) * timeframe.milliseconds
    if since_ms >= first_ms:
        return
    first = str(format_utc(first_ms))
    fact = (
        f"this exchange returns only the newest {newest_candles:,} candles, of {timeframe.name} those since {first} UTC"
    )
    if filling.extent is not None:
        raise DataError(
            f"{filling.path}: ends at {format_utc(filling.extent.last_ms)}, but {fact}.",
            hint=f"begin another file with -o and --since {first.replace(' ', 'T')}, or use another --exchange",
        )
    raise UsageError(
        f"{filling.symbol}: --since {format_utc(since_ms)} is too early: {fact}.",
        hint=f"--since {first.replace(' ', 'T')}, or another --exchange",
    )
