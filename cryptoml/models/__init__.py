"""The models that can be trained, and the forecaster that carries one from training to serving."""
