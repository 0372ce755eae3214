"""From crypto candles to a tracked, registered, promotable, reproducible price model."""

__version__ = "0.1.0"
