"""Causal features of candles, and the feature pipeline that is saved with a model."""
