"""Formats counts with nouns."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Format a count: `1 candle`, `2,000 candles`. plural: if it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
