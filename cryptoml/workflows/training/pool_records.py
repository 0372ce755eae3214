"""What the run of a pooled model records besides what every run records."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptoml.data.cleaning.quality import QualityReport
    from cryptoml.training.dataset import Dataset
    from cryptoml.training.results import MarketScore, ModelResult

# The metrics of more markets are in the metadata only.
MAX_MARKETS = 100
# The limit of older servers is 500 characters.
MAX_PARAM = 400


def shortened(symbols: Sequence[str]) -> str:
    """Return the symbols, separated by commas; a list that is too long for a parameter ends with its hash."""
    text = ",".join(symbols)
    if len(text) <= MAX_PARAM:
        return text
    return f"{text[: MAX_PARAM - 20]}...{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def market_metrics(market: MarketScore) -> dict[str, float]:
    """Return the metrics that a pooled run stores for one of its markets, by MLflow name."""
    names = ("skill", "directional_accuracy", "interval_coverage")
    name_of = re.sub(r"[^A-Za-z0-9_. /-]", "_", market.symbol)
    return {f"market_{name}/{name_of}": getattr(market, name) for name in names}


def pool_metadata(result: ModelResult, reports: Sequence[QualityReport]) -> dict[str, object]:
    """Return the scores by market and the quality of the other files of a pool; empty for one market."""
    if not result.markets:
        return {}
    return {
        "markets": [{**vars(one), "verdict": vars(one.verdict)} for one in result.markets],
        "quality_reports": [report.to_dict() for report in reports],
    }


def shown_market(dataset: Dataset) -> str:
    """Return the market that the plots of a pool show: the one with the most rows; empty for one market."""
    import numpy as np

    if dataset.markets is None:
        return ""
    return dataset.symbols[int(np.argmax(np.bincount(dataset.markets)))]


def market_title(dataset: Dataset) -> str:
    """Return the market and the interval, or the size of a pool and the market that its plots show."""
    interval = dataset.interval.label
    if not dataset.symbols:
        return f"{dataset.symbol} {interval}"
    return f"pool of {len(dataset.symbols)} markets {interval}, {shown_market(dataset)} shown"
