"""Finds out what is wrong with a set-up and says the command that fixes it."""
