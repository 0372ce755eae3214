"""`python -m cryptoml` and the script `cryptoml`."""

from typing import NoReturn

from cryptoml.system import stopping


def main() -> NoReturn:
    """Run the command line and exit; signals during the imports take effect after them."""
    stopping.hold_signals()
    from cryptoml.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
