"""`python -m cryptoml` is the `cryptoml` command."""

from cryptoml.cli.app import main

if __name__ == "__main__":
    main()
