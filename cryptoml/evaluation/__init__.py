"""Folds, metrics, baselines and significance: how good a forecast is, and how sure that is."""
