"""Runs: write them to the journal, deliver them to MLflow, read them back."""
