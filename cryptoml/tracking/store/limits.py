"""What a tracking server takes: lengths of names and values, entries and bytes a request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

KEY_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
METRICS_A_REQUEST = 1000
PARAMS_A_REQUEST = 100
BYTES_A_REQUEST = 800_000
T = TypeVar("T")


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


def chunks(items: Iterable[T], *, most: int, size: Callable[[T], int]) -> Iterator[list[T]]:
    """`items` in lists of at most `most`, each below the bytes a request may have; nothing for no items."""
    part: list[T] = []
    total = 0
    for item in items:
        weight = size(item)
        if part and (len(part) == most or total + weight > BYTES_A_REQUEST):
            yield part
            part, total = [], 0
        part.append(item)
        total += weight
    if part:
        yield part


def pair_size(pair: tuple[str, str]) -> int:
    """Bytes that a name and its text take in a request's JSON, where characters beyond ASCII take six or twelve."""
    return len(json.dumps(pair)) + 24
