"""Cleaning of candles: repairs, duplicates, price spikes, the quality report and its gates."""
