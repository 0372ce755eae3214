"""Notes after a setup: sentences for `SetupResult.notes`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cryptoml.remotes import git, git_remote
from cryptoml.remotes.dagshub import Addresses
from cryptoml.settings import LOCAL_STORE

SHARED = (".dvc", ".dvcignore", ".gitignore")


def uncommitted(folder: Path) -> Iterator[str]:
    """Yield a note if the DVC configuration or ignore files, which clones need, are not committed."""
    shared = [name for name in SHARED if (folder / name).exists()]
    if shared and git.output(folder, "status", "--porcelain", "--", *shared):
        yield f'commit these files so that clones get them: git add {" ".join(shared)} && git commit -m "Set up DVC"'


def overridden(at: Addresses, token: str) -> Iterator[str]:
    """Yield a note for each environment variable that overrides a value in `.env`."""
    wanted = {
        "DAGSHUB_CLIENT_HOST": at.host,
        "DAGSHUB_REPO": at.slug,
        "MLFLOW_TRACKING_URI": at.mlflow,
        "DAGSHUB_TOKEN": token,
        "MLFLOW_TRACKING_PASSWORD": token,
    }
    for name, value in wanted.items():
        found = os.environ.get(name)
        if found and found != value:
            shown = "another value" if value == token else git_remote.without_secrets(found)
            yield f"{name} in the environment is {shown} and overrides .env: remove {name} from the environment"


def read_only() -> Iterator[str]:
    """Yield notes on which commands work with read-only access."""
    yield "read-only: pull-data, compare and predict work; push-data, register, promote and git push are refused (403)"
    yield f"to train with a local store: env MLFLOW_TRACKING_URI={LOCAL_STORE} cryptoml train"
