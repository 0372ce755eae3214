"""Runs: written to the journal first, delivered to MLflow from there, read back."""
