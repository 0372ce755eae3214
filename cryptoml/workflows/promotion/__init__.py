"""What the use case `promote` is made of: the validation before production."""
