"""`cryptoml pull-data`: get the data files that the project, or a revision of it, pins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cryptoml.cli.data_versions import DataVersions, show_versions
from cryptoml.cli.options import DATA
from cryptoml.cli.outcome import Outcome


def pull_data(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Files or folders.", show_default="all pinned files"),
    ] = None,
    rev: Annotated[
        str | None,
        typer.Option(
            metavar="REVISION",
            rich_help_panel=DATA,
            show_default="working tree",
            help="Git revision whose data to get.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", rich_help_panel=DATA, help="Overwrite files that were changed here.")
    ] = False,
) -> Outcome[DataVersions]:
    """Get pinned data files with DVC.

    The .dvc files of the working tree, or of a git revision, say which version of each file.

    Example: cryptoml pull-data data/raw/sim.csv --rev HEAD
    """
    from cryptoml.cli.console import listening
    from cryptoml.settings import load_settings
    from cryptoml.workflows.pull_data import pull_data as pull

    with listening() as listener:
        result = pull(load_settings(), paths or (), revision=rev, force=force, on_event=listener)
    return Outcome(result.to_dict(), lambda: show_versions(result, sent="came from"))
