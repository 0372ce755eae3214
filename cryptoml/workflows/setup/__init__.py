"""Steps of `cryptoml setup-remotes`."""
