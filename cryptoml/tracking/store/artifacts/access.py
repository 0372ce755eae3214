"""Check before training that this machine can write artifacts to the experiment's location.

The location is proxied by the server (mlflow-artifacts:), a bucket that this machine writes to directly (s3: and
others, which need a driver and credentials), or a local folder.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from cryptoml.errors import ConfigError
from cryptoml.system.environment import is_writable
from cryptoml.tracking.store.artifacts.roots import local_path
from cryptoml.tracking.store.bucket_errors import (
    BUCKETS,
    ArtifactAccessError,
    ArtifactUnavailableError,
    Bucket,
    endpoint_hint,
    foreign_errors,
    translated,
)
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.server_probe import is_loopback, run_with_timeout

ARTIFACTS_FOLDER = "mlartifacts"
PROXIED = ("mlflow-artifacts", "http", "https")
NEW_EXPERIMENT = "choose another MLFLOW_EXPERIMENT_NAME, as an experiment keeps its location"


def check_location(
    location: str, *, store_uri: str, experiment: str, artifacts_root: str | None, timeout_s: float
) -> None:
    """Raise unless artifacts of `experiment` can be written to `location` from this machine.

    `artifacts_root` is the configured or default root of new experiments, as a URI. Raises ConfigError for a place that
    can never be written from here and for a missing driver, ArtifactAccessError for missing or refused credentials,
    ArtifactUnavailableError for a bucket that does not answer.
    """
    is_server = store_uri.startswith(("http://", "https://"))
    scheme = urlsplit(location).scheme
    what = f"the experiment {experiment} stores its artifacts"
    if scheme in PROXIED:
        if not is_server:
            raise ConfigError(
                f"{masked(store_uri)}: {what} through an MLflow server ({_shown(location)}), and this is a database.",
                hint=f"set MLFLOW_TRACKING_URI to that server's http address, or {NEW_EXPERIMENT}",
            )
        return
    if local_path(location) is not None or scheme in ("", "file"):
        _check_folder(location, what, is_server=is_server, store_uri=store_uri, artifacts_root=artifacts_root)
        return
    bucket = BUCKETS.get(scheme)
    if bucket is None:
        raise ConfigError(
            f"{masked(store_uri)}: {what} at {_shown(location)}, and MLflow knows no place of the kind {scheme}:.",
            hint=NEW_EXPERIMENT,
        )
    if not _is_installed(bucket.module):
        raise ConfigError(
            f"{_shown(location)}: {what} there, and the package that can write to {scheme}: is not installed.",
            hint=f"{bucket.install}; or {NEW_EXPERIMENT}",
        )
    _check_credentials(scheme, location, what, bucket, timeout_s)


def default_root(database: Path) -> str:
    """Where a SQLite store keeps artifacts unless CRYPTOML_ARTIFACT_ROOT says otherwise, as a URI."""
    return (database.parent / ARTIFACTS_FOLDER).as_uri()


def new_location(artifacts_root: str | None, experiment: str, *, store_uri: str) -> str:
    """Where a new experiment of a file or a database keeps its artifacts; raises ConfigError without a root."""
    if artifacts_root is None:
        raise ConfigError(
            f"{masked(store_uri)}: a database says nothing about where artifacts of new experiments go.",
            hint="set CRYPTOML_ARTIFACT_ROOT to a bucket (s3://bucket/folder) or to a folder that all users share",
        )
    folder = re.sub(r"[^A-Za-z0-9._-]+", "-", experiment).strip(".-") or "experiment"
    return f"{artifacts_root}/{folder}"


def removed_name(experiment: str, identifier: str) -> str:
    """The new name of an experiment that is removed because its location cannot be used; the old one is free then."""
    return f"{experiment} (no artifacts, {identifier})"


def check_run_location(location: str, *, store_uri: str, artifacts_root: str | None) -> None:
    """Raise ConfigError where a server on another machine names a folder of this one for a run's artifacts.

    Following it would read or write whatever folder the server chooses. A server on this machine may name its own.
    """
    path, root = local_path(location), local_path(artifacts_root or "")
    if path is None or is_loopback(urlsplit(store_uri).hostname or ""):
        return
    if root is None or not path.is_relative_to(root):
        raise server_folder_error(store_uri, "a run has its artifacts", location)


def server_folder_error(store_uri: str, what: str, location: str) -> ConfigError:
    """The error for a server that hands out a path of its own machine."""
    path = local_path(location)
    root = path.parent if path else location
    return ConfigError(
        f"{masked(store_uri)}: the server does not proxy artifacts here: {what} at {path or location}, a folder of the "
        "server's machine. A client would write to a folder of that name on its own.",
        hint=f"start the server with: mlflow server --serve-artifacts --artifacts-destination {root} and without "
        f"--default-artifact-root; for an experiment that was there before, {NEW_EXPERIMENT}. If this machine shares "
        f"that folder with the server: CRYPTOML_ARTIFACT_ROOT={root}",
    )


def _check_folder(location: str, what: str, *, is_server: bool, store_uri: str, artifacts_root: str | None) -> None:
    path = local_path(location)
    root = local_path(artifacts_root or "")
    is_below_root = path is not None and root is not None and path.is_relative_to(root)
    if is_server and not is_below_root:
        raise server_folder_error(store_uri, what, location)
    if path is None:
        raise ConfigError(
            f"{masked(store_uri)}: {what} at {location}, relative to whatever folder a command starts in.",
            hint=NEW_EXPERIMENT,
        )
    # A folder two levels of which are missing belongs to another machine, or to a place that was left.
    if not is_below_root and not path.exists() and not path.parent.is_dir():
        raise ConfigError(
            f"{masked(store_uri)}: {what} at {path}, which is not on this machine; it is not created.",
            hint=f"mount or restore {path}, or {NEW_EXPERIMENT}",
        )
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ConfigError(f"{there}: {what} below it, and it is a file.", hint="move it away")
    if not is_writable(there):
        raise ArtifactAccessError(
            f"{there}: {what} there, and this user cannot write to it.", hint=f"make it writable, or {NEW_EXPERIMENT}"
        )


def _check_credentials(scheme: str, location: str, what: str, bucket: Bucket, timeout_s: float) -> None:
    look = _LOOKS.get(scheme)
    if look is None:
        return
    try:
        # Name look-ups and metadata services of a cloud know time limits of their own.
        answer = run_with_timeout(max(10.0, timeout_s + 5.0), lambda: look(location, timeout_s))
    except TimeoutError:
        raise ArtifactUnavailableError(
            f"{_shown(location)}: {what} there, and it does not answer.", hint=endpoint_hint(scheme)
        ) from None
    except foreign_errors() as error:
        raise translated(error, f"{_shown(location)}: {what} there, and it cannot be used", bucket) from error
    if not answer:
        raise ArtifactAccessError(
            f"{_shown(location)}: {what} there, and no credentials for it are set.", hint=bucket.credentials
        )


def _look_at_s3(location: str, timeout_s: float) -> bool:
    """Whether there are credentials; raises what S3 says to listing one object, which loading models needs anyway."""
    import boto3
    from botocore.config import Config

    session = boto3.Session()
    anonymous = os.environ.get("MLFLOW_S3_IGNORE_AUTH", "").lower() in ("true", "1")
    if not anonymous and session.get_credentials() is None:
        return False
    parts = urlsplit(location)
    insecure = os.environ.get("MLFLOW_S3_IGNORE_TLS", "").lower() in ("true", "1")
    client = session.client(
        "s3",
        endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None,
        verify=False if insecure else None,
        config=Config(connect_timeout=timeout_s, read_timeout=timeout_s, retries={"max_attempts": 1}),
    )
    client.list_objects_v2(Bucket=parts.netloc, Prefix=parts.path.lstrip("/"), MaxKeys=1)
    return True


def _look_at_gs(location: str, timeout_s: float) -> bool:
    import google.auth

    google.auth.default()
    return True


def _look_at_azure(location: str, timeout_s: float) -> bool:
    keys = ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCESS_KEY")
    return any(os.environ.get(key) for key in keys) or _is_installed("azure.identity")


def _look_at_hdfs(location: str, timeout_s: float) -> bool:
    """Whether Hadoop's client can be loaded; pyarrow only finds out when it opens a file system."""
    from pyarrow.fs import HadoopFileSystem

    try:
        HadoopFileSystem.from_uri(location)
    except OSError as error:
        reason = str(error).partition("\n")[0]
        if "libjvm" in reason or "libhdfs" in reason:
            raise ConfigError(
                f"{_shown(location)}: Hadoop's client cannot be loaded: {reason}.",
                hint=f"install Java and Hadoop, and set JAVA_HOME, HADOOP_HOME and CLASSPATH; or {NEW_EXPERIMENT}",
            ) from error
        raise ArtifactUnavailableError(f"{_shown(location)}: {reason}.", hint=endpoint_hint("hdfs")) from error
    return True


_LOOKS = {
    "s3": _look_at_s3, "gs": _look_at_gs, "wasbs": _look_at_azure, "abfss": _look_at_azure,
    "hdfs": _look_at_hdfs, "viewfs": _look_at_hdfs,
}  # fmt: skip


def _shown(location: str) -> str:
    """The location without a password; the name before an at sign may be a container's, and stays."""
    return masked(location) if re.match(r"[\w+.-]+://[^/@]*:", location) else location


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def root_uri(text: str, *, base: Path) -> str:
    """`CRYPTOML_ARTIFACT_ROOT` as a URI without a slash at its end; a folder is taken below `base` when relative."""
    if "://" in text:
        path = local_path(text)
        return (path.as_uri() if path else text).rstrip("/")
    scheme = re.match(r"([a-z][a-z0-9-]+):/", text)
    if scheme and scheme[1] in BUCKETS:
        raise ConfigError(
            f"CRYPTOML_ARTIFACT_ROOT={text}: a slash is missing after {scheme[1]}:/.",
            hint=f"CRYPTOML_ARTIFACT_ROOT={scheme[1]}://{text[scheme.end() :].lstrip('/')}",
        )
    return (base / Path(text).expanduser()).as_uri().rstrip("/")
