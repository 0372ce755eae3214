"""Diagnoses the set-up: checks that report problems, each with the command that fixes it."""
