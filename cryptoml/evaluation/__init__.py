"""Folds, metrics, prediction intervals and significance tests."""
