"""Bring a run's staged files into the store, and count as stored only what the store itself then shows."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import UnavailableError
from cryptoml.system.files import translate_os_errors
from cryptoml.tracking.journal.records import StagedArtifact
from cryptoml.tracking.store.artifacts.uploads import HttpFiles, http_files
from cryptoml.tracking.store.errors import is_missing, masked

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

    from cryptoml.tracking.store.store import Store

ROUNDS = 2


def store_artifacts(store: Store, run: Run, staging: Path, files: Iterable[StagedArtifact], *, resumed: bool) -> None:
    """Upload `files` from `staging` until the store's listing shows each with its size.

    Over HTTP the smallest file is also read back and compared by SHA-256, as is each file that is listed without a
    size: a server can list files that it does not serve. Files of a disk are all compared.

    With `resumed`, files that the store shows already are not uploaded. Raises UnavailableError when the store does
    not show all files after `ROUNDS` uploads.
    """
    wanted = {one.path: one for one in files}
    if not wanted:
        return
    with _opened(store, run) as target:
        missing = target.unconfirmed(wanted) if resumed else wanted
        for _ in range(ROUNDS):
            if not missing:
                return
            target.upload(staging, tuple(missing))
            missing = target.unconfirmed(missing)
    if missing:
        raise UnavailableError(
            f"{masked(store.uri)}: {len(missing)} of {len(wanted)} files of {run.info.run_name} were uploaded, but the "
            f"store does not show them with the right content: {', '.join(sorted(missing)[:3])}.",
            hint="try again later: cryptoml sync",
        )


def file_sha256(path: Path) -> str:
    """The SHA-256 of a local file; raises CryptomlError when it cannot be read."""
    with translate_os_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Target:
    """The artifact repository of one run. `http` is None where mlflow's own client moves the files."""

    store: Store
    repository: ArtifactRepository
    http: HttpFiles | None

    def upload(self, staging: Path, paths: tuple[str, ...]) -> None:
        if self.http is not None:
            self.http.upload(staging, paths)
            return
        with self.store.uploading():
            for path in paths:
                self.repository.log_artifact(str(staging / path), posixpath.dirname(path) or None)

    def unconfirmed(self, wanted: Mapping[str, StagedArtifact]) -> dict[str, StagedArtifact]:
        """Those of `wanted` that the store does not show as they should be; one request a folder."""
        sizes: dict[str, int | None] = {}
        for folder in sorted({posixpath.dirname(path) for path in wanted}):
            sizes |= self._listed(folder)
        listed = {path: one for path, one in wanted.items() if path in sizes and _fits(one, sizes[path])}
        digests = self._digests(listed, sizes)
        return {
            path: one
            for path, one in wanted.items()
            if path not in listed or (path in digests and digests[path] != one.sha256)
        }

    def _digests(self, listed: Mapping[str, StagedArtifact], sizes: Mapping[str, int | None]) -> dict[str, str | None]:
        """SHA-256 of all files of a disk; over HTTP of the smallest file and of those without a listed size."""
        from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

        if isinstance(self.repository, LocalArtifactRepository):
            root = Path(self.repository.artifact_dir)
            return {path: file_sha256(root / path) for path in listed}
        unsized = [path for path, one in listed.items() if sizes[path] is None and one.size]
        if self.http is None:
            return dict.fromkeys(unsized)
        smallest = sorted((path for path, one in listed.items() if one.size), key=lambda path: listed[path].size)[:1]
        return self.http.digests({path: listed[path].size for path in {*unsized, *smallest}})

    def _listed(self, folder: str) -> dict[str, int | None]:
        """Path and size of the files in a folder; nothing when the answer is not a listing."""
        from mlflow.exceptions import MlflowException
        from requests import HTTPError
        from requests.exceptions import JSONDecodeError

        try:
            found = self.repository.list_artifacts(folder or None)
            return {one.path: one.file_size for one in found if not one.is_dir}
        except MlflowException as error:
            if not is_missing(error) and error.error_code != "INVALID_PARAMETER_VALUE":
                raise
        except HTTPError as error:
            if error.response is None or error.response.status_code != 404:
                raise
        except (JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
            # A page of HTML, or JSON of another shape.
            pass
        return {}


def _fits(file: StagedArtifact, size: int | None) -> bool:
    # MLflow's listing leaves out the size of an empty file.
    return size is None or size == file.size


@contextmanager
def _opened(store: Store, run: Run) -> Iterator[_Target]:
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    repository = store.repository(run, for_writing=True)
    if not isinstance(repository, HttpArtifactRepository):
        yield _Target(store, repository, None)
        return
    with http_files(repository.artifact_uri, store.uri) as http:
        yield _Target(store, repository, http)
