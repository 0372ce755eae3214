"""The config of a command: the schema of `configs/*.yaml` and the merging of its layers."""
