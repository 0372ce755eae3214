"""Determine the version of a data file from its `.dvc` file or another DVC pin."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptoml.errors import CryptomlError
from cryptoml.remotes import git
from cryptoml.system.data_versions import version_content


@dataclass(frozen=True)
class DatasetVersion:
    """`text` identifies the content of a data file: `<md5>@<git revision>` or `untracked:<sha256>`."""

    text: str
    sha256: str

    @property
    def tracked(self) -> bool:
        """Whether the content is pinned with DVC."""
        return not self.text.startswith("untracked:")

    @property
    def short(self) -> str:
        """A shortened form for file names and tables."""
        return self.text.replace("untracked:", "untracked-")[:22]


def dataset_version(path: Path) -> DatasetVersion:
    """Return the version of the file on disk.

    A file that differs from its pin counts as untracked, unless an earlier commit pinned that content.
    """
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            md5.update(block)
            sha256.update(block)
    pinned = _beside(path, md5.hexdigest()) or _elsewhere(path, md5.hexdigest())
    if pinned is None:
        earlier = _pinned_earlier(path, md5.hexdigest())
        return DatasetVersion(earlier or f"untracked:{sha256.hexdigest()}", sha256.hexdigest())
    source, file_md5, recorded = pinned
    return DatasetVersion(version_text(file_md5, source, recorded), sha256.hexdigest())


def is_version(path: Path, version: str) -> bool:
    """Whether a file has the content of a data set version, whichever git revision pins it."""
    if not path.is_file():
        return False
    here = dataset_version(path)
    return version_content(version) in (version_content(here.text), here.sha256)


def version_text(md5: str, source: Path, recorded: str) -> str:
    """Return `<md5>@<revision>` of a pinned file; `recorded`: its md5, or that of its folder, in the file `source`."""
    commit = git.commit_that_wrote(source.parent, source.resolve(), recorded)
    if commit is None and git.ownership_error(source.parent):
        return f"{md5}@unknown"
    return f"{md5}@{commit[:12] if commit else 'uncommitted'}"


def _pinned_earlier(path: Path, md5: str) -> str | None:
    """Return the version of a file with the content of an earlier commit of its `.dvc` file; None if there is none."""
    dvc_file = Path(f"{path}.dvc")
    commit = git.commit_that_wrote(dvc_file.parent, dvc_file.resolve(), md5) if dvc_file.is_file() else None
    return f"{md5}@{commit[:12]}" if commit else None


def _beside(path: Path, md5: str) -> tuple[Path, str, str] | None:
    """Return the pin in the `.dvc` file beside the data file: that file, the md5, and the md5 recorded there."""
    import yaml

    dvc_file = Path(f"{path}.dvc")
    try:
        out = yaml.safe_load(dvc_file.read_text(encoding="utf-8"))["outs"][0]
        return (dvc_file, md5, md5) if str(out["md5"]) == md5 and out["path"] == path.name else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, IndexError, TypeError):
        return None


def _elsewhere(path: Path, md5: str) -> tuple[Path, str, str] | None:
    """Return the pin of the file in a pinned folder, a pipeline's output, or a `.dvc` file elsewhere or of DVC 2."""
    from cryptoml.remotes.dvc.session import find_root

    file = path.parent.resolve() / path.name
    root = find_root(file.parent)
    if root is None or not _may_be_pinned(file, root, md5):
        return None
    from cryptoml.remotes.dvc.cache import matches, open_cache
    from cryptoml.remotes.dvc.pins import owner_of, pins_at, source_file

    try:
        pins = pins_at(root)
        owner = owner_of(file.relative_to(root), pins)
        if owner is None:
            return None
        cache = open_cache(root)
        files = cache.expand(owner) if cache.has(owner) or not owner.is_folder else []
        for pin in files:
            if root / pin.path == file and matches(root, pin):
                return root / source_file(owner), pin.md5, owner.md5
    except CryptomlError:
        # Treat the file as untracked; `cryptoml doctor` reports errors of DVC.
        return None
    return None


def _may_be_pinned(file: Path, root: Path, md5: str) -> bool:
    """Return whether a `.dvc` file or `dvc.lock` up to the root may pin the file; avoids the slow import of DVC."""
    for folder in file.parents:
        for source in [*folder.glob("*.dvc"), folder / "dvc.lock"]:
            with suppress(OSError):
                text = source.read_text(encoding="utf-8", errors="replace") if source.is_file() else ""
                if md5 in text or ".dir" in text or (source.suffix == ".dvc" and "hash:" not in text and text):
                    return True
        if folder == root:
            break
    return False
