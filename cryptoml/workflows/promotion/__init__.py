"""Validation for `cryptoml promote`."""
