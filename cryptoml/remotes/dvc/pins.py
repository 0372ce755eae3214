"""Read a project's DVC pins, the md5 of each tracked path, in the work tree or at a git revision.

Pins come from `.dvc` files and from the outputs of `dvc.yaml`, whose md5 is in `dvc.lock`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import ConfigError, CryptomlError, UsageError
from cryptoml.remotes import git, git_remote
from cryptoml.remotes.dvc.md5 import md5_of
from cryptoml.remotes.dvc.session import find_root, load_dvc, open_repo

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo

MD5, LEGACY_MD5 = "md5", "md5-dos2unix"


@dataclass(frozen=True)
class Pin:
    """A pinned path, relative to the project folder; the md5 of a folder ends in .dir.

    source: the file with the pin, relative to the project. origin: the source of an import. stage: the pipeline stage
    that writes the path. hash_name: "md5", or "md5-dos2unix" for DVC 2. size: bytes.
    """

    path: Path
    md5: str
    size: int | None = None
    hash_name: str = MD5
    source: Path = Path()
    remote: str | None = None
    stage: str | None = None
    origin: str | None = None
    of_repository: bool = False
    cached: bool = True
    pushed: bool = True

    @property
    def is_folder(self) -> bool:
        """Whether the pin is of a folder."""
        return self.md5.endswith(".dir")

    @property
    def is_legacy(self) -> bool:
        """Whether DVC 2 wrote the pin; its object has another path in the cache and on the remote."""
        return self.hash_name == LEGACY_MD5

    @property
    def not_on_remote(self) -> str | None:
        """Why DVC does not store it on the project's remote; None if it does."""
        if not self.cached:
            return f"cache: false in {self.source}"
        if not self.pushed:
            return f"push: false in {self.source}"
        if self.of_repository:
            return f"imported from {self.origin}"
        return None if self.md5 else "without md5"


def pins_at(folder: Path, revision: str | None = None) -> list[Pin]:
    """Return all pins below `folder`, sorted by path; empty if it is not in a DVC project.

    Raises UsageError for an unknown revision, DataError for a damaged `.dvc` file.
    """
    if find_root(folder) is None:
        return []
    if revision is None:
        with open_repo(folder) as repo:
            return sorted(_pins_of(repo, folder), key=lambda pin: pin.path)
    commit = _commit_of(folder, revision)
    with open_repo(folder) as repo:
        pins: list[Pin] = []
        config = repo.config
        for _ in repo.brancher(revs=[commit], workspace=False):
            # The revision may lack .dvc/config: use the current remotes in any case.
            repo.__dict__["config"] = config
            pins += _pins_of(repo, folder)
    return sorted(pins, key=lambda pin: pin.path)


def owner_of(path: Path, pins: list[Pin]) -> Pin | None:
    """Return the pin of the path itself or of a folder above it; None if there is none."""
    return next((pin for pin in pins if path == pin.path or pin.path in path.parents), None)


def source_file(pin: Pin) -> Path:
    """Return the file with the pin's md5: `dvc.lock` for a pipeline's output, not `dvc.yaml`."""
    return pin.source.with_name("dvc.lock") if pin.source.name == "dvc.yaml" else pin.source


def hash_of(path: Path, hash_name: str = MD5) -> str:
    """Return the hash of a file as DVC computes it for `hash_name`."""
    if hash_name == MD5:
        return md5_of(path)
    load_dvc()
    from dvc_data.hashfile.hash import file_md5

    return str(file_md5(str(path), name=hash_name))


def _commit_of(folder: Path, revision: str) -> str:
    ownership_error = git.ownership_error(folder)
    if ownership_error is not None:
        raise ownership_error
    if not git_remote.is_repository(folder):
        raise ConfigError(f"{folder}: is not a git repository, so it has no revisions.", hint="run without --rev")
    try:
        return git_remote.run(
            folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        ).strip()
    except CryptomlError:
        raise UsageError(
            f"{revision}: this git revision does not exist.", hint="run git fetch, then list revisions with git log"
        ) from None


def _pins_of(repo: Repo, folder: Path) -> Iterator[Pin]:
    root, project = find_root(folder), folder.resolve()
    assert root is not None
    for out in repo.index.outs:
        workspace, key = out.index_key
        if workspace != "repo":
            continue
        path = Path(os.path.relpath(root.joinpath(*key), project))
        if path.parts[:1] != ("..",):
            yield _pin(out, path, project, root)


def _pin(out: Output, path: Path, project: Path, root: Path) -> Pin:
    stage = out.stage
    source = Path(os.path.relpath(root / stage.path_in_repo, project))
    is_import = stage.is_import
    origin = str(stage.deps[0]) if is_import else None
    return Pin(
        path=path,
        md5=out.hash_info.value or "",
        size=out.meta.size,
        hash_name=LEGACY_MD5 if out.hash_name == LEGACY_MD5 else MD5,
        source=source,
        remote=out.remote,
        stage=None if stage.is_data_source else stage.addressing,
        origin=git_remote.without_secrets(origin) if origin else None,
        of_repository=stage.is_repo_import,
        cached=bool(out.use_cache),
        pushed=bool(out.can_push),
    )
