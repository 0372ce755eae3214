"""The use case `train`."""
