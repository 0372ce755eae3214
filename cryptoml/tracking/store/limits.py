"""What a tracking server takes: lengths of names and values, entries and bytes a request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

KEY_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
ENTRIES_PER_BATCH = 1000
PARAMS_PER_BATCH = 100
TAGS_PER_BATCH = 100
BYTES_PER_BATCH = 800_000
M = TypeVar("M")


@dataclass
class Batch(Generic[M]):
    """What one log-batch request carries; `M` is the type of a metric's value."""

    params: dict[str, str] = field(default_factory=dict)
    metrics: list[M] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.params) + len(self.metrics) + len(self.tags)

    def is_full(self) -> bool:
        """Whether a server takes no further entry of some kind."""
        return (
            len(self) >= ENTRIES_PER_BATCH or len(self.params) >= PARAMS_PER_BATCH or len(self.tags) >= TAGS_PER_BATCH
        )


def fit(values: Mapping[str, str], *, length: int, what: str, tell: Callable[[str], None]) -> dict[str, str]:
    """`values` with keys and texts cut to what the server takes; each cut is told in a sentence.

    Of keys that become equal by cutting, the first stays.
    """
    fitted: dict[str, str] = {}
    for key, text in values.items():
        short = cut_key(key, what=what, tell=tell)
        if len(text) > length:
            tell(f"the {what} {short} has {len(text):,} characters; the store keeps the first {length:,}.")
        fitted.setdefault(short, text[:length])
    return fitted


def cut_key(key: str, *, what: str, tell: Callable[[str], None]) -> str:
    """`key`, cut to what the server takes; a cut is told."""
    if len(key) > KEY_LENGTH:
        tell(f"the name of the {what} {key[:40]}... is cut to {KEY_LENGTH} characters.")
    return key[:KEY_LENGTH]


def batches(
    params: Mapping[str, str], metrics: Iterable[M], tags: Mapping[str, str], *, metric_size: Callable[[M], int]
) -> Iterator[Batch[M]]:
    """All of it in as few requests as the server's limits allow; nothing where there is nothing."""
    entries: list[tuple[str, Any, int]] = [
        *(("params", pair, pair_size(pair)) for pair in params.items()),
        *(("metrics", metric, metric_size(metric)) for metric in metrics),
        *(("tags", pair, pair_size(pair)) for pair in tags.items()),
    ]
    batch: Batch[M] = Batch()
    total = 0
    for kind, entry, size in entries:
        if batch.is_full() or (len(batch) and total + size > BYTES_PER_BATCH):
            yield batch
            batch, total = Batch(), 0
        if kind == "metrics":
            batch.metrics.append(entry)
        else:
            (batch.params if kind == "params" else batch.tags).update([entry])
        total += size
    if len(batch):
        yield batch


def pair_size(pair: tuple[str, str]) -> int:
    """Bytes that a name and its text take in a request's JSON, where characters beyond ASCII take six or twelve."""
    return len(json.dumps(pair)) + 24
