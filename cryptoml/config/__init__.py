"""What to do: the schema of `configs/*.yaml` and how its layers are merged."""
