"""`cryptoml ui`: open the MLflow UI of the configured store."""

from __future__ import annotations

from typing import Annotated, TypedDict

import typer

from cryptoml.cli.outcome import Outcome


class UiDocument(TypedDict):
    """The store; printed when the local UI is stopped, or immediately for a tracking server."""

    tracking_uri: str


def ui(
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", rich_help_panel="Server", help="Local port.")
    ] = 5000,
    browser: Annotated[bool, typer.Option(rich_help_panel="Server", help="Open a browser.")] = True,
) -> Outcome[UiDocument]:
    """Open the MLflow UI in a browser.

    For a local store, serves the UI on localhost until Ctrl-C. For a tracking server, only opens its URL.

    Example: cryptoml ui --port 5001 --no-browser
    """
    from cryptoml.cli.console import message_console
    from cryptoml.settings import load_settings
    from cryptoml.tracking.store.errors import masked
    from cryptoml.workflows.ui import open_pages

    settings = load_settings()
    open_pages(
        settings, port=port, browser=browser, on_message=lambda text: message_console().print(text, markup=False)
    )
    return Outcome({"tracking_uri": masked(settings.mlflow_uri())}, lambda: None)
