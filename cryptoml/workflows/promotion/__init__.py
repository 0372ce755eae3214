"""The parts of the use case `promote`: the validation before production."""
