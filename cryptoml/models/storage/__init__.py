"""Stored models: each file is checked before the library that wrote it reads it."""
