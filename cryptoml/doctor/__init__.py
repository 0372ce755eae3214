"""Finds out what is wrong with the set-up and says the command that mends it."""
