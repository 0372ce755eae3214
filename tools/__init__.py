"""Programs for developers: the reference pages and the check of the vocabulary. Not part of the package."""
