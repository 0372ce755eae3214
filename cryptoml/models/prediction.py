"""Forecasts of a stored model, as returned by `predict` and stored in the forecast log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptoml.models.interval import FALL, RISE, UP

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Prediction:
    """Forecasts, oldest first.

    table: index `timestamp` (open time of the candle at whose close the forecast is made, UTC), columns horizon,
    made_at, target_time (UTC), price_now, and those of `Forecaster.forecast`; no NaN.
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
            "forecasts": [self._nested(row) for row in rows.to_dict("records")],
        }

    def _nested(self, row: dict[Any, Any]) -> dict[str, Any]:
        """Return a row of the table with its intervals as a list, and with all probabilities."""
        intervals = [{"level": self.interval_level, "lower": row["lower_price"], "upper": row["upper_price"]}]
        plain: dict[str, Any] = dict.fromkeys((UP, RISE, FALL))
        for name, value in row.items():
            side, _, percent = str(name).partition("_price_")
            if side == "lower" and percent:
                upper = row[f"upper_price_{percent}"]
                intervals.append({"level": float(percent) / 100, "lower": value, "upper": upper})
            elif not (side == "upper" and percent):
                plain[str(name)] = value
        return {**plain, "intervals": sorted(intervals, key=lambda one: one["level"])}
