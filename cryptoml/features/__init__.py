"""Causal features of candles, and the pipeline that is saved with a model."""
