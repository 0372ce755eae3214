"""The result of `push-data` and `pull-data`: each file with its version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

if TYPE_CHECKING:
    from cryptoml.remotes.dvc.requests import DataResult


class VersionedFile(TypedDict):
    """A data file or folder."""

    path: Annotated[str, "relative to the project folder"]
    version: Annotated[str, "`MD5@COMMIT`, with the git commit that pins it, or `uncommitted`"]
    state: Annotated[str, "what was done, or why nothing was done"]


class DataVersions(TypedDict):
    """The result for each file."""

    remote: Annotated[str, "address of the DVC remote"]
    revision: Annotated[str | None, "git revision of `--rev`"]
    transferred: Annotated[int, "objects sent or fetched"]
    commit: Annotated[str | None, "git commit that was created"]
    files: list[VersionedFile]


def show_versions(result: DataResult, *, sent: str) -> None:
    """Print the files, the number of transferred objects and the commit; `sent`: the words before the remote."""
    from cryptoml.cli.console import print_lines, print_table
    from cryptoml.system.plurals import counted

    print_table(
        ("file", "version", "state"),
        [(file.path, file.version, file.state) for file in result.files],
        left=3,
        fold=True,
    )
    lines = [f"{counted(result.transferred, 'object')} {sent} {result.remote}"]
    if result.commit:
        lines.append(f"git commit {result.commit[:12]}")
    print_lines(lines)
