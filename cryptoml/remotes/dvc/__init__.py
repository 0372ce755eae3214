"""DVC: pins, remotes, the cache, and transfers that are verified."""
