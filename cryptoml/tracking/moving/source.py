"""The store that runs are copied from; it is only read."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cryptoml.errors import DataError, UnavailableError
from cryptoml.tracking.store.credentials import User, as_user, environment
from cryptoml.tracking.store.errors import is_missing, masked, translate_store_errors
from cryptoml.tracking.store.response_limits import all_pages
from cryptoml.tracking.store.store import UPLOAD_TIMEOUT_S, Store

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run

PAGE = 1000


@dataclass(frozen=True)
class SourceFile:
    """An artifact: its path in the run, with forward slashes, and its size in bytes."""

    path: str
    size: int


class Source:
    """A store that is only read.

    `database`: its SQLite file, None for a server. `fingerprint`: identifies the address without revealing it.
    MLflow's client reads credentials from the environment at every request: the methods of this class set the
    credentials of this store for their own requests only, so that no server gets those of another.
    """

    def __init__(self, address: str, store: Store, *, database: Path | None, user: User | None) -> None:
        self.address = address
        self.database = database
        self.fingerprint = hashlib.sha256(address.encode()).hexdigest()[:12]
        self._store = store
        self._user = user

    @contextmanager
    def reading(self, doing: str) -> Iterator[Store]:
        """Return the store for requests within the block; `doing` completes "could not ..." in error messages."""
        with as_user(self._user), translate_store_errors(self.address, doing):
            yield self._store

    def experiments(self) -> tuple[Experiment, ...]:
        """Return all active experiments."""
        experiments: list[Experiment] = []
        with self.reading("list experiments") as store:
            search = store.client.search_experiments
            for page in all_pages(lambda token: search(max_results=PAGE, page_token=token), store.uri):
                experiments += page
        return tuple(experiments)

    def runs(self, experiment_id: str) -> tuple[Run, ...]:
        """Return the active runs of an experiment, oldest first."""
        with self.reading("search runs") as store:
            return tuple(all_runs(store, experiment_id, deleted=False))

    def run(self, run_id: str) -> Run | None:
        """Return a run, active or deleted; None if it does not exist."""
        from mlflow.exceptions import MlflowException

        with self.reading(f"read run {run_id}") as store:
            try:
                return store.client.get_run(run_id)
            except MlflowException as error:
                if is_missing(error) or error.error_code == "INVALID_PARAMETER_VALUE":
                    return None
                raise

    def experiment_name(self, experiment_id: str) -> str:
        """Return the name of an experiment."""
        with self.reading(f"read experiment {experiment_id}") as store:
            return str(store.client.get_experiment(experiment_id).name)

    def metric_points(self, run: Run) -> list[tuple[str, float, int, int]]:
        """Return all metric values of a run: (key, value, step, Unix time in milliseconds); NaN stays NaN."""
        with self.reading(f"read the metrics of {run.info.run_name}") as store:
            return [
                (key, metric.value, metric.step, metric.timestamp)
                for key in sorted(run.data.metrics)
                for metric in store.client.get_metric_history(run.info.run_id, key)
            ]

    def local_artifacts(self, run: Run) -> Path | None:
        """Return the local folder of a run's artifacts; None if there is none.

        A moved store still has the old paths: the folder is then searched for beside the database.
        """
        folder = _local_path(run.info.artifact_uri or "")
        if folder is None or self.database is None:
            return None
        if folder.is_dir():
            return folder
        parts = [part for part in folder.parts if part != folder.anchor]
        for first in range(len(parts) - 1):
            candidate = self.database.parent.joinpath(*parts[first:])
            if run.info.run_id in candidate.parts and candidate.is_dir():
                return candidate
        return None

    def files(self, run: Run) -> tuple[SourceFile, ...]:
        """Return all artifacts of a run, sorted by path."""
        folder = self.local_artifacts(run)
        if folder is not None:
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            return tuple(SourceFile(path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths)
        if self._has_local_artifacts(run):
            return ()
        files: list[SourceFile] = []
        folders: list[str | None] = [None]
        with self.reading(f"list the artifacts of {run.info.run_name}"):
            repository = self._store.repository(run)
            while folders:
                for entry in repository.list_artifacts(folders.pop()):
                    path = PurePosixPath(entry.path)
                    if path.is_absolute() or ".." in path.parts:
                        raise DataError(
                            f"{masked(self.address)}: the artifact path {entry.path!r} points outside the run."
                        )
                    if entry.is_dir:
                        folders.append(entry.path)
                    else:
                        files.append(SourceFile(entry.path, entry.file_size or 0))
        return tuple(sorted(files, key=lambda file: file.path))

    def fetch(self, run: Run, files: tuple[SourceFile, ...], target: Path) -> None:
        """Copy the artifacts of a run to the folder `target`; raise UnavailableError if a size differs."""
        folder = self.local_artifacts(run)
        target.mkdir(parents=True, exist_ok=True)
        if folder is not None:
            for file in files:
                (target / file.path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / file.path, target / file.path)
            return
        longer = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(UPLOAD_TIMEOUT_S)}
        with self.reading(f"fetch the artifacts of {run.info.run_name}"), environment(longer):
            repository = self._store.repository(run)
            for top in sorted({file.path.partition("/")[0] for file in files}):
                repository.download_artifacts(top, str(target))
        for file in files:
            size = (target / file.path).stat().st_size if (target / file.path).is_file() else -1
            if size != file.size:
                raise UnavailableError(
                    f"{masked(self.address)}: {file.path} of {run.info.run_name} has {file.size:,} bytes, "
                    f"but {max(size, 0):,} were received.",
                    hint="try again",
                )

    def _has_local_artifacts(self, run: Run) -> bool:
        return self.database is not None and _local_path(run.info.artifact_uri or "") is not None


def all_runs(store: Store, experiment_id: str, *, deleted: bool) -> Iterator[Run]:
    """Yield all runs of an experiment, oldest first; with `deleted`, deleted runs too."""
    from mlflow.entities import ViewType

    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    order = ["attributes.start_time ASC"]
    search = store.client.search_runs
    for page in all_pages(
        lambda token: search([experiment_id], "", view, max_results=PAGE, order_by=order, page_token=token), store.uri
    ):
        yield from page


def _local_path(artifact_uri: str) -> Path | None:
    parts = urlsplit(artifact_uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(artifact_uri) if not parts.scheme and artifact_uri else None
