"""The text of a data set version: `<md5>@<git revision>` or `untracked:<sha256>`."""

from __future__ import annotations


def version_content(version: str) -> str:
    """Return the hash of the content, without the git revision that pins it."""
    return version.removeprefix("untracked:").partition("@")[0]
