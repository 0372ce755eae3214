"""Limits of a tracking server: lengths of names and values, entries and bytes per request."""

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
    """The content of a log-batch request; `M` is the type of a metric."""

    params: dict[str, str] = field(default_factory=dict)
    metrics: list[M] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.params) + len(self.metrics) + len(self.tags)

    def is_full(self) -> bool:
        """Return whether the server's limit for some kind of entry is reached."""
        return (
            len(self) >= ENTRIES_PER_BATCH or len(self.params) >= PARAMS_PER_BATCH or len(self.tags) >= TAGS_PER_BATCH
        )


def fit(values: Mapping[str, str], *, length: int, what: str, tell: Callable[[str], None]) -> dict[str, str]:
    """Return `values` with keys and values truncated to the server's limits; report each truncation through `tell`.

    If truncated keys become equal, the first is kept.
    """
    fitted: dict[str, str] = {}
    for key, text in values.items():
        short = cut_key(key, what=what, tell=tell)
        if len(text) > length:
            tell(f"the {what} {short} has {len(text):,} characters; only the first {length:,} are stored.")
        fitted.setdefault(short, text[:length])
    return fitted


def cut_key(key: str, *, what: str, tell: Callable[[str], None]) -> str:
    """Return `key` truncated to the server's limit; report a truncation through `tell`."""
    if len(key) > KEY_LENGTH:
        tell(f"the name of the {what} {key[:40]}... was truncated to {KEY_LENGTH} characters.")
    return key[:KEY_LENGTH]


def batches(
    params: Mapping[str, str], metrics: Iterable[M], tags: Mapping[str, str], *, metric_size: Callable[[M], int]
) -> Iterator[Batch[M]]:
    """Split the entries into as few requests as the server's limits allow; yields nothing if there are no entries."""
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
    """Return the size in bytes of a name and a value in a JSON request; a non-ASCII character takes 6 or 12."""
    return len(json.dumps(pair)) + 24
