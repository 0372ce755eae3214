"""Fits models on one split and one set of folds. Knows no tracker and no terminal."""
