"""The models, and the forecaster that combines a fitted model with its features, scaler and shrinkage."""
