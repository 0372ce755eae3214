"""`cryptoml pull-data`: download the data files that the .dvc files refer to."""

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
        typer.Argument(metavar="PATH", help="Files or folders.", show_default="all versioned files"),
    ] = None,
    rev: Annotated[
        str | None,
        typer.Option(
            metavar="REVISION",
            rich_help_panel=DATA,
            show_default="working tree",
            help="Git revision of the .dvc files.",
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            rich_help_panel=DATA,
            help="Restore one file to a data set version, such as MD5@COMMIT; .dvc files stay.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", rich_help_panel=DATA, help="Overwrite files with local changes.")
    ] = False,
) -> Outcome[DataVersions]:
    """Download versioned data files with DVC.

    The .dvc files of the working tree, or of a git revision, determine the version of each file.

    Example: cryptoml pull-data data/raw/sim.csv --rev HEAD
    """
    from cryptoml.cli.console import listening
    from cryptoml.errors import UsageError
    from cryptoml.settings import load_settings
    from cryptoml.workflows.pull_data import pull_data as pull
    from cryptoml.workflows.restore_version import restore_version

    if version is not None and (len(paths or ()) != 1 or rev is not None):
        raise UsageError(
            "--version needs exactly one file, and no --rev.", hint=f"cryptoml pull-data FILE --version {version}"
        )
    with listening() as listener:
        if version is not None and paths:
            result = restore_version(load_settings(), paths[0], version, on_event=listener)
            return Outcome(result.to_dict(), lambda: show_versions(result, sent="restored from"))
        result = pull(load_settings(), paths or (), revision=rev, force=force, on_event=listener)
    return Outcome(result.to_dict(), lambda: show_versions(result, sent="downloaded from"))
