"""What the machine and the project folder give: environment, files, locks, names, hosts, signals."""
