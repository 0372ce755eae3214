"""Forecasts of a stored model, as returned by `predict` and stored in the forecast log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Prediction:
    """Forecasts, oldest first.

    table: index `timestamp` (open time of the candle at whose close the forecast is made, UTC), columns made_at,
    target_time (UTC), price_now, forecast_return (log), forecast_price, lower_price, upper_price; no NaN.
    skipped: requested candles without a forecast because of a gap. is_new_market: whether a pooled model was
    trained without this market. logged: forecasts added to the log; None without
    logging.
    """

    model: str
    version: str | None
    run_id: str
    symbol: str
    interval: str
    horizon: int
    interval_level: float
    source: str
    table: pd.DataFrame
    skipped: int
    logged: int | None = None
    is_new_market: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the `result` of --json; times are ISO, UTC."""
        rows = self.table.reset_index()
        for name in ("timestamp", "made_at", "target_time"):
            rows[name] = rows[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "model": self.model,
            "version": self.version,
            "run_id": self.run_id,
            "symbol": self.symbol,
            "interval": self.interval,
            "horizon": self.horizon,
            "interval_level": self.interval_level,
            "data": self.source,
            "new_market": self.is_new_market,
            "skipped": self.skipped,
            "logged": self.logged,
            "forecasts": rows.to_dict("records"),
        }
