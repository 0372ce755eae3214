"""The tag of runs and versions that says on which candles the stored model was fitted, and its values."""

FIT_TAG, ALL_CANDLES, BEFORE_HOLDOUT = "fit", "all candles", "before the hold-out"
