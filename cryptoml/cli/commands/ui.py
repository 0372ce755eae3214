"""`cryptoml ui`: MLflow's pages on the store in use."""

from __future__ import annotations

from typing import Annotated, TypedDict

import typer

from cryptoml.cli.outcome import Outcome


class UiDocument(TypedDict):
    """Where the pages are; printed when they are closed, or at once for a tracking server."""

    tracking_uri: str


def ui(
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", rich_help_panel="Pages", help="Port on loopback.")
    ] = 5000,
    browser: Annotated[bool, typer.Option(rich_help_panel="Pages", help="Open the pages in a browser.")] = True,
) -> Outcome[UiDocument]:
    """Open MLflow's pages in a browser.

    Pages of a local store are served on loopback until Ctrl-C. Those of a tracking server are only opened.

    Example: cryptoml ui --port 5001 --no-browser
    """
    from cryptoml.cli.console import talk_console
    from cryptoml.settings import load_settings
    from cryptoml.tracking.store.errors import masked
    from cryptoml.workflows.ui import open_pages

    settings = load_settings()
    open_pages(settings, port=port, browser=browser, tell=lambda text: talk_console().print(text, markup=False))
    return Outcome({"tracking_uri": masked(settings.mlflow_uri())}, lambda: None)
