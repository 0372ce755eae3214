"""What a project pins with DVC, in the work tree or at a git revision: which path has which md5.

Pins come from `.dvc` files and from the outputs of `dvc.yaml` with their md5 in `dvc.lock`.
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
    """A pinned path, relative to the project folder; the md5 of a folder's list ends in .dir.

    source: the file that holds the pin, relative to the project. origin: where an import comes from.
    stage: the name of the pipeline stage that writes it. hash_name: "md5", or "md5-dos2unix" of DVC 2.
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
        """Whether a whole folder is pinned."""
        return self.md5.endswith(".dir")

    @property
    def is_legacy(self) -> bool:
        """Whether DVC 2 wrote it; its object has another place in the cache and on the remote."""
        return self.hash_name == LEGACY_MD5

    @property
    def not_on_remote(self) -> str | None:
        """Why DVC does not keep it on the project's remote; None where it does."""
        if not self.cached:
            return f"cache: false in {self.source}"
        if not self.pushed:
            return f"push: false in {self.source}"
        if self.of_repository:
            return f"imported from {self.origin}"
        return None if self.md5 else "without md5"


def pins_at(folder: Path, revision: str | None = None) -> list[Pin]:
    """All pins below `folder`, by path; none where it is no DVC project.

    Raises UsageError for an unknown revision, DataError for a damaged `.dvc` file.
    """
    if find_root(folder) is None:
        return []
    if revision is None:
        with open_repo(folder) as repo:
            return sorted(_pins_of(repo, folder), key=lambda pin: pin.path)
    commit = _commit_of(folder, revision)
    with open_repo(folder) as repo:
        found: list[Pin] = []
        config = repo.config
        for _ in repo.brancher(revs=[commit], workspace=False):
            # The revision may be without .dvc/config; remotes are those of today in any case.
            repo.__dict__["config"] = config
            found += _pins_of(repo, folder)
    return sorted(found, key=lambda pin: pin.path)


def owner_of(path: Path, pins: list[Pin]) -> Pin | None:
    """The pin that holds the path: of the file itself, or of a folder above it."""
    return next((pin for pin in pins if path == pin.path or pin.path in path.parents), None)


def source_file(pin: Pin) -> Path:
    """The file in which the pin's md5 stands: of a pipeline's output `dvc.lock`, not `dvc.yaml`."""
    return pin.source.with_name("dvc.lock") if pin.source.name == "dvc.yaml" else pin.source


def hash_of(path: Path, hash_name: str = MD5) -> str:
    """The hash of a file as DVC computes it for that kind of pin."""
    if hash_name == MD5:
        return md5_of(path)
    load_dvc()
    from dvc_data.hashfile.hash import file_md5

    return str(file_md5(str(path), name=hash_name))


def _commit_of(folder: Path, revision: str) -> str:
    unsafe = git.ownership_error(folder)
    if unsafe is not None:
        raise unsafe
    if not git_remote.is_repository(folder):
        raise ConfigError(f"{folder}: is not a git repository, so it has no revisions.", hint="leave --rev out")
    try:
        return git_remote.run(
            folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        ).strip()
    except CryptomlError:
        raise UsageError(
            f"{revision}: git knows no such revision.", hint="git fetch, then git log shows them"
        ) from None


def _pins_of(repo: Repo, folder: Path) -> Iterator[Pin]:
    root, project = find_root(folder), folder.resolve()
    assert root is not None
    for out in repo.index.outs:
        place, key = out.index_key
        if place != "repo":
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
