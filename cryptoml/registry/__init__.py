"""Registered versions: the gate that lets a run in, and the stages it can have."""
