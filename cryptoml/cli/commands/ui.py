"""`cryptoml ui`: MLflow's pages on the store in use."""

from __future__ import annotations

from typing import Annotated

import typer


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port on loopback.")] = 5000,
    browser: Annotated[bool, typer.Option(help="Open the pages in a browser.")] = True,
) -> None:
    """Open MLflow's pages: served on loopback from a local store, or where the tracking server has them."""
    from cryptoml.cli.console import talk_console
    from cryptoml.settings import load_settings
    from cryptoml.workflows.ui import open_pages

    open_pages(load_settings(), port=port, browser=browser, tell=lambda text: talk_console().print(text, markup=False))
