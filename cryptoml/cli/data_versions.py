"""What `push-data` and `pull-data` print: each file with its version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

if TYPE_CHECKING:
    from cryptoml.remotes.dvc.requests import DataResult


class VersionedFile(TypedDict):
    """A data file or folder."""

    path: Annotated[str, "relative to the project folder"]
    version: Annotated[str, "`MD5@COMMIT`, with the git commit that pins it, or `uncommitted`"]
    state: Annotated[str, "what was done, or why nothing was"]


class DataVersions(TypedDict):
    """What became of each file."""

    remote: Annotated[str, "address of the DVC remote"]
    revision: Annotated[str | None, "git revision of `--rev`"]
    transferred: Annotated[int, "objects sent or fetched"]
    commit: Annotated[str | None, "git commit that was made"]
    files: list[VersionedFile]


def show_versions(result: DataResult, *, sent: str) -> None:
    """Print the table of files, the transfer (`sent` names its direction) and the commit."""
    from cryptoml.cli.console import print_lines, print_table
    from cryptoml.system.plurals import counted

    print_table(
        ("file", "version", "state"), [(one.path, one.version, one.state) for one in result.files], left=3, fold=True
    )
    lines = [f"{counted(result.transferred, 'object')} {sent} {result.remote}"]
    if result.commit:
        lines.append(f"git commit {result.commit[:12]}")
    print_lines(lines)
