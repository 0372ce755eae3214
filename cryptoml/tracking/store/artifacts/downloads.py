"""Lists and fetches a run's artifacts. What a server lists is not trusted: neither its paths nor its sizes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cryptoml.errors import AccessError, UnavailableError
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.response_limits import read_chunks
from cryptoml.tracking.store.server_probe import check_address

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

# Far above any model or report, far below a disk.
MAX_TOTAL_BYTES = 8 * 2**30
MAX_LISTING_BYTES = 16 * 2**20
MAX_ENTRIES = 10_000
MAX_DEPTH = 20
UNTRUSTED = "use only a store that you trust"
_THREADS = 8
_ERROR_BYTES = 2000
_ENDPOINT = "/mlflow-artifacts/artifacts"


@dataclass(frozen=True)
class Listed:
    """An artifact as the store lists it: its path in the run, and its size where the store gives one."""

    path: str
    is_dir: bool
    size: int | None


def list_folder(repository: ArtifactRepository, folder: str) -> list[Listed]:
    """What is directly in a folder of the run; raises AccessError for an entry that lies anywhere else."""
    return list(_listed(repository, folder))


def fetch(repository: ArtifactRepository, path: str, target: Path) -> Path:
    """Fetch a file, or a folder with all below it, to `target / path`; gives that path.

    Nothing is written outside `target`, and no file becomes larger than listed. Raises AccessError for a listing
    with unsafe paths or absurd sizes.
    """
    (target / path).parent.mkdir(parents=True, exist_ok=True)
    listed = list_folder(repository, path)
    files = _all_files(repository, path, listed) if listed else [Listed(path, False, None)]
    total = sum(max(one.size or 0, 0) for one in files)
    if total > MAX_TOTAL_BYTES:
        raise AccessError(
            f"{_where(repository)}: {path} has {total:,} bytes; at most {MAX_TOTAL_BYTES:,} are fetched.",
            hint=UNTRUSTED,
        )
    # Files without a listed size share what is left.
    share = (MAX_TOTAL_BYTES - total) // len(files) if files else 0
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="fetch") as pool:
        futures = [pool.submit(_fetch_file, repository, one, target, share) for one in files]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return target / path


def _all_files(repository: ArtifactRepository, path: str, listed: list[Listed]) -> list[Listed]:
    files: list[Listed] = []
    pending = listed
    count = 0
    while pending:
        one = pending.pop()
        count += 1
        if count + len(pending) > MAX_ENTRIES or one.path.count("/") > MAX_DEPTH:
            raise AccessError(
                f"{_where(repository)}: {path} has more than {MAX_ENTRIES:,} entries, or folders more than "
                f"{MAX_DEPTH} deep.",
                hint=UNTRUSTED,
            )
        if one.is_dir:
            pending.extend(list_folder(repository, one.path))
        else:
            files.append(one)
    return files


def _listed(repository: ArtifactRepository, folder: str) -> Iterator[Listed]:
    entries = _entries(repository, folder)
    name = folder.rpartition("/")[2]
    if len(entries) == 1 and not entries[0].is_dir and entries[0].path == name:
        # Servers list a file that is asked for as a folder in this way.
        return
    seen = set()
    for one in entries:
        if not _is_plain(one.path) or one.path in seen:
            raise AccessError(
                f"{_where(repository)}: lists the unsafe path {one.path[:200]!r} in {folder or 'the run'}.",
                hint=UNTRUSTED,
            )
        seen.add(one.path)
        yield Listed(f"{folder}/{one.path}" if folder else one.path, one.is_dir, one.size)


def _is_plain(name: str) -> bool:
    """Whether it is the name of one file or folder, on any system."""
    return name not in ("", ".", "..") and name.isprintable() and not set(name) & set('/\\:*?"<>|')


def _entries(repository: ArtifactRepository, folder: str) -> list[Listed]:
    """Names, kinds and sizes as listed, not checked; a path that is not below the folder stays whole."""
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    if not isinstance(repository, HttpArtifactRepository):
        prefix = f"{folder}/" if folder else ""
        return [
            Listed(one.path.removeprefix(prefix) if one.path.startswith(prefix) else f"../{one.path}",
                   bool(one.is_dir), one.file_size)
            for one in repository.list_artifacts(folder or None)
        ]  # fmt: skip
    uri, _, root = repository.artifact_uri.partition(_ENDPOINT)
    asked = "/".join(part for part in (root.strip("/"), folder) if part)
    with _get(uri, _ENDPOINT, params={"path": asked}) as response:
        body = b""
        for chunk in read_chunks(response):
            body += chunk
            if len(body) > MAX_LISTING_BYTES:
                raise AccessError(
                    f"{_where(repository)}: the list of the files in {folder or 'the run'} has more than "
                    f"{MAX_LISTING_BYTES:,} bytes.",
                    hint=UNTRUSTED,
                )
    try:
        found = json.loads(body).get("files", [])
        return [
            Listed(str(one["path"]), one.get("is_dir") is True, int(one["file_size"]) if "file_size" in one else None)
            for one in found
        ]
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UnavailableError(
            f"{_where(repository)}: the list of the files in {folder or 'the run'} cannot be read "
            f"({type(error).__name__}).",
            hint="check MLFLOW_TRACKING_URI, or try again later",
        ) from error


def _fetch_file(repository: ArtifactRepository, listed: Listed, target: Path, share: int) -> None:
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    local = target / listed.path
    local.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(repository, HttpArtifactRepository):
        _stream(repository, listed.path, local, limit=share if listed.size is None else listed.size)
    else:
        repository._download_file(listed.path, str(local))
    size = local.stat().st_size
    if listed.size is not None and size != listed.size:
        local.unlink()
        raise UnavailableError(
            f"{_where(repository)}: {listed.path} came with {size:,} bytes, {listed.size:,} are listed.",
            hint="try again",
        )


def _stream(repository: Any, path: str, local: Path, *, limit: int) -> None:
    """Write the answer to `local` until it ends, or is longer than `limit` bytes."""
    with _get(repository.artifact_uri, f"/{quote(path)}") as response, local.open("wb") as file:
        written = 0
        for chunk in read_chunks(response):
            written += len(chunk)
            if written > limit:
                local.unlink()
                raise AccessError(
                    f"{_where(repository)}: {path} is longer than the {limit:,} bytes that it may have.",
                    hint=UNTRUSTED,
                )
            file.write(chunk)


def _get(uri: str, endpoint: str, **more: Any) -> Any:
    """A GET with mlflow's credentials, limits and retries; raises what `translate_store_errors` translates.

    Raises AccessError where the server names an address that would get the credentials over plain http.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request
    from requests import HTTPError

    creds = get_default_host_creds(uri)
    check_address(uri, with_credentials=bool(creds.password or creds.token))
    response = http_request(creds, endpoint, "GET", stream=True, **more)
    if 200 <= response.status_code < 300:
        return response
    # No more of the body is read; `translate_store_errors` looks at its text.
    response._content = response.raw.read(_ERROR_BYTES, decode_content=True)
    response.close()
    if response.status_code == 404 and b"unsupported endpoint" not in response.content:
        raise MlflowException(f"No such artifact: {endpoint}", error_code=RESOURCE_DOES_NOT_EXIST)
    raise HTTPError(f"{response.status_code} for {endpoint}", response=response)


def _where(repository: ArtifactRepository) -> str:
    return masked(str(repository.artifact_uri))
