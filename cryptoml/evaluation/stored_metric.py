"""The description of a metric: name, unit, direction, format, and how it is stored and shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from cryptoml.evaluation.figures import P_VALUE, cell, p_value, price
from cryptoml.evaluation.forecasts import Forecasts

Better = Literal["lower", "higher", "nominal", "none"]
# Patterns of stored names. A metric that is computed on the hold-out only is stored under its plain name.
CV_MEAN, CV_STD, TEST, TRAIN, LAST_FOLD, PLAIN = "cv_{}_mean", "cv_{}_std", "test_{}", "train_{}", "cv_{}", "{}"
CROSS_VALIDATED = {
    CV_MEAN: "cv {}",
    CV_STD: "cv {} std",
    TEST: "test {}",
    TRAIN: "train {}",
    LAST_FOLD: "last fold {}",
}
LAST_COLUMN = 99


@dataclass(frozen=True)
class StoredMetric:
    """A number stored with a run, by its MLflow name.

    title: column heading with unit. better: the best value; "nominal" means nearest to `nominal`, a number or the name
    of a run parameter, "none" that no value is better. fmt: format of `scale * value`, P_VALUE for a p-value,
    empty for a price.
    of_persistence: whether it is defined for persistence. column: rank of the table column, where 1 is hidden last on a
    narrow terminal; None for no column.
    """

    name: str
    title: str
    unit: str
    better: Better
    formula: str
    fmt: str = ""
    scale: float = 1.0
    nominal: str = ""
    of_persistence: bool = True
    column: int | None = None

    def loss(self, value: float, params: Mapping[str, str]) -> float:
        """Return a number that is lower for better values; NaN if the nominal value is missing."""
        if self.better == "nominal":
            nominal = self.nominal if self.nominal[:1].isdigit() else params.get(self.nominal, math.nan)
            return abs(value - float(nominal))
        return -value if self.better == "higher" else value

    def scaled(self, value: float) -> float:
        """Convert a value to the unit of the title."""
        return self.scale * value

    def text(self, value: float | None) -> str:
        """Format a value for a table; empty for None, a dash if it is not finite."""
        if value is None:
            return ""
        if self.fmt == P_VALUE:
            return p_value(value)
        return cell(self.scaled(value), self.fmt) if self.fmt else price(self.scaled(value))


@dataclass(frozen=True, kw_only=True)
class Metric(StoredMetric):
    """A metric computed from forecasts.

    cross_validated: computed for each fold, the training part and the hold-out; otherwise for the hold-out only.
    columns: pattern of the stored name -> rank; empty for no column; by default only the hold-out value has one.
    """

    compute: Callable[[Forecasts], float]
    cross_validated: bool = False
    columns: Mapping[str, int] | None = None

    def stored(self) -> list[StoredMetric]:
        """Return the numbers stored with a run."""
        titles = CROSS_VALIDATED if self.cross_validated else {PLAIN: "{}"}
        columns = {TEST: LAST_COLUMN, PLAIN: LAST_COLUMN} if self.columns is None else self.columns
        return [
            StoredMetric(
                pattern.format(self.name), title.format(self.title), self.unit,
                "lower" if pattern == CV_STD else self.better, self.formula, self.fmt, self.scale, self.nominal,
                self.of_persistence, columns.get(pattern),
            )
            for pattern, title in titles.items()
        ]  # fmt: skip
