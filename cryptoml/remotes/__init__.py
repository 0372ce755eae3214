"""What lies outside: DagsHub, git, DVC."""
