"""Access to the operating system and the project folder: environment, files, locks, hosts, proxies, signals."""
