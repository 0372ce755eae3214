"""What DVC knows about a data file, read from the small `.dvc` file beside it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptoml.remotes import git


@dataclass(frozen=True)
class DatasetVersion:
    """`text` identifies the bytes of a data file: `<md5>@<git revision>`, or `untracked:<sha256>`."""

    text: str
    sha256: str

    @property
    def tracked(self) -> bool:
        """Whether DVC holds these very bytes."""
        return not self.text.startswith("untracked:")

    @property
    def short(self) -> str:
        """A form short enough for file names and tables."""
        return self.text.replace("untracked:", "untracked-")[:22]


def dataset_version(path: Path) -> DatasetVersion:
    """The version of the file as it is on disk.

    A file that was changed since DVC saw it counts as untracked: its bytes are not those that are pinned.
    """
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            md5.update(block)
            sha256.update(block)
    pin = Path(f"{path}.dvc")
    if md5.hexdigest() == _pinned_md5(pin):
        commit = git.commit_that_wrote(path.parent, pin.resolve(), md5.hexdigest())
        return DatasetVersion(f"{md5.hexdigest()}@{commit[:12] if commit else 'uncommitted'}", sha256.hexdigest())
    return DatasetVersion(f"untracked:{sha256.hexdigest()}", sha256.hexdigest())


def _pinned_md5(pin: Path) -> str | None:
    import yaml

    try:
        tree = yaml.safe_load(pin.read_text(encoding="utf-8"))
        return str(tree["outs"][0]["md5"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, IndexError, TypeError):
        return None
