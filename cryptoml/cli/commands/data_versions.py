"""`cryptoml push-data` and `cryptoml pull-data`: data files through DVC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson

if TYPE_CHECKING:
    from cryptoml.remotes.dvc.requests import DataResult


def push_data(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Files or folders; by default all below data/.")
    ] = None,
    message: Annotated[str | None, typer.Option("-m", "--message", help="Commit message; implies --commit.")] = None,
    commit: Annotated[bool, typer.Option("--commit", help="Commit the .dvc files to git.")] = False,
    as_json: AsJson = False,
) -> None:
    """Version data files with DVC and send them to the remote; prints each file's version."""
    from cryptoml.cli.console import listening
    from cryptoml.settings import load_settings
    from cryptoml.workflows.push_data import push_data as push

    with listening() as listener:
        result = push(
            load_settings(), paths or (), message=message, commit=commit or message is not None, on_event=listener
        )
    _show(result, as_json=as_json, sent="sent to")
    if not as_json and result.commit is None and any("@uncommitted" in one.version for one in result.files):
        from cryptoml.cli.console import talk_console

        talk_console().print("the .dvc files are not committed; git add and commit them, or push with --commit")


def pull_data(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Files or folders; by default all that is pinned.")
    ] = None,
    rev: Annotated[str | None, typer.Option(help="A git revision: the data as it was pinned there.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that were changed here.")] = False,
    as_json: AsJson = False,
) -> None:
    """Get the data files that the project, or a revision of it, pins."""
    from cryptoml.cli.console import listening
    from cryptoml.settings import load_settings
    from cryptoml.workflows.pull_data import pull_data as pull

    with listening() as listener:
        result = pull(load_settings(), paths or (), revision=rev, force=force, on_event=listener)
    _show(result, as_json=as_json, sent="came from")


def _show(result: DataResult, *, as_json: bool, sent: str) -> None:
    from cryptoml.cli.console import print_json_last, print_lines, print_table

    if as_json:
        print_json_last(result.to_dict())
        return
    print_table(
        ("file", "version", "state"), [(one.path, one.version, one.state) for one in result.files], left=3, fold=True
    )
    lines = [f"{result.transferred} object(s) {sent} {result.remote}"]
    if result.commit:
        lines.append(f"git commit {result.commit[:12]}")
    print_lines(lines)
