"""Simulated markets with known predictability."""
