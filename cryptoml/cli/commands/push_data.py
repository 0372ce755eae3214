"""`cryptoml push-data`: version data files with DVC and upload them to the remote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.data_versions import DataVersions, show_versions
from cryptoml.cli.outcome import Outcome

if TYPE_CHECKING:
    from cryptoml.remotes.dvc.requests import DataResult


def push_data(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH", help="Files or folders.", show_default="all under data/")
    ] = None,
    message: Annotated[
        str | None,
        typer.Option(
            "-m", "--message", metavar="TEXT", rich_help_panel="Git", help="Commit message; implies --commit."
        ),
    ] = None,
    commit: Annotated[
        bool, typer.Option("--commit", rich_help_panel="Git", help="Commit the .dvc files to git.")
    ] = False,
) -> Outcome[DataVersions]:
    """Version data files and push them with DVC.

    Prints the version of each file. Commit the .dvc files so that clones get the data.

    Example: cryptoml push-data data/raw/sim.csv -m "Add candles"
    """
    from cryptoml.cli.console import listening
    from cryptoml.settings import load_settings
    from cryptoml.workflows.push_data import push_data as push

    with listening() as listener:
        result = push(
            load_settings(), paths or (), message=message, commit=commit or message is not None, on_event=listener
        )
    return Outcome(result.to_dict(), lambda: _show(result))


def _show(result: DataResult) -> None:
    from cryptoml.cli.console import message_console

    show_versions(result, sent="uploaded to")
    if result.commit is None and any("@uncommitted" in file.version for file in result.files):
        message_console().print(
            "the .dvc files are not committed; commit them with git, or with: cryptoml push-data --commit"
        )
