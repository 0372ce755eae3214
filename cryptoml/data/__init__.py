"""Candles: reading, checking, writing, simulating. Knows no model and no tracker."""
