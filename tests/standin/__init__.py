"""A stand-in for DagsHub on loopback: real git, a real MLflow server, a DVC store, and the REST routes in use."""
