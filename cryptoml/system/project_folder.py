"""Which folder is the project's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptoml.errors import ConfigError
from cryptoml.system.dotenv_file import expand_variables

VARIABLE = "CRYPTOML_PROJECT_DIR"
PROJECT_MARKS = (".cryptoml", ".dvc", ".git")


def find_project(*, environ: Mapping[str, str], cwd: Path | None = None) -> Path:
    """The project folder, absolute: CRYPTOML_PROJECT_DIR, else the nearest marked one, else `cwd`."""
    named = environ.get(VARIABLE)
    if named:
        folder = Path(expand_variables(named, environ, name=VARIABLE)).resolve()
        if not folder.is_dir():
            raise ConfigError(f"{VARIABLE}: {folder} is not a folder.")
        return folder
    here = (cwd or Path.cwd()).resolve()
    home = Path.home().resolve()
    for folder in (here, *here.parents):
        # A marked home folder (dotfiles under git) is not the project of everything below it.
        if (folder != home or folder == here) and any((folder / mark).exists() for mark in PROJECT_MARKS):
            return folder
    return here
