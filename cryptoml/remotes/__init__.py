"""Access to DagsHub, git and DVC."""
