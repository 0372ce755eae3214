"""Finds the project folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptoml.errors import ConfigError
from cryptoml.system.dotenv_file import expand_variables

VARIABLE = "CRYPTOML_PROJECT_DIR"
PROJECT_MARKS = (".cryptoml", ".dvc", ".git")


def find_project(*, environ: Mapping[str, str], cwd: Path | None = None) -> Path:
    """Return the absolute project folder: CRYPTOML_PROJECT_DIR, else the nearest marked folder, else `cwd`."""
    value = environ.get(VARIABLE)
    if value:
        folder = Path(expand_variables(value, environ, name=VARIABLE)).resolve()
        if not folder.is_dir():
            raise ConfigError(
                f"{VARIABLE}: {folder} is not a folder.", hint=f"unset {VARIABLE}, or set it to a project folder"
            )
        return folder
    here = (cwd or Path.cwd()).resolve()
    home = Path.home().resolve()
    for folder in (here, *here.parents):
        # A home folder with a mark, such as dotfiles under git, is not the project of the folders in it.
        if (folder != home or folder == here) and any((folder / mark).exists() for mark in PROJECT_MARKS):
            return folder
    return here
