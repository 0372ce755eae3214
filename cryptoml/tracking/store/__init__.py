"""The MLflow store: preflight checks, opening, limits, and its errors translated."""
