"""Candles: reading, cleaning, writing, fetching and simulating. Independent of models and tracking."""
