"""Make a data file have the content of a data set version again, whatever is in its place now."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cryptoml import events
from cryptoml.errors import DataError
from cryptoml.remotes.dvc.dataset_version import is_version
from cryptoml.remotes.dvc.requests import DataResult, VersionedFile
from cryptoml.settings import Settings
from cryptoml.system.files import translate_os_errors
from cryptoml.workflows.pull_data import copy_version


def restore_version(
    settings: Settings, path: Path, version: str, *, on_event: events.OnEvent = events.ignore
) -> DataResult:
    """Restore a data set version, such as `<md5>@<git revision>`, from DVC; no-op if the file has it already.

    The `.dvc` files stay as they are. Raise DataError if the version is neither here nor pinned with DVC.
    """
    file = settings.project_dir / path
    if is_version(file, version):
        return DataResult("", (VersionedFile(str(path), version, "up to date"),), 0)
    copy = None
    with translate_os_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".restoring-") as folder:
        if not version.startswith("untracked:"):
            copy = copy_version(settings, path, version, Path(folder), on_event=on_event)
        if copy is None:
            state = "is another version" if file.is_file() else "does not exist"
            raise DataError(
                f"{path}: {state}, and {version} is not pinned with DVC.",
                hint="version data right after they are written: cryptoml push-data",
            )
        with translate_os_errors(file):
            copy.replace(file)
    return DataResult("DVC", (VersionedFile(str(path), version, "restored"),), 1)
