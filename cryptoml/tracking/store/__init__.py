"""The MLflow store: preflight checks, opening, limits, translation of its errors."""
