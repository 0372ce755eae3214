"""Stored models: each file is checked before a library loads it."""
