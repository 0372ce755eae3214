"""Copy registered models of another store to the current store."""
