"""Runs of another store, copied to the store in use."""
