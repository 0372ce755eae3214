"""Fits models on one split and one set of folds. Does not track runs or print."""
