"""DVC: pins, remotes, the cache, and verified transfers."""
