"""The use case `setup-remotes`."""
