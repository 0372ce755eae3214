"""Requirements of each kind of bucket on this machine, and translation of its driver's errors."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError


class ArtifactAccessError(AccessError):
    """Credentials for one experiment's artifacts are missing or refused; other experiments may be fine."""


class ArtifactUnavailableError(UnavailableError):
    """The place of one experiment's artifacts does not answer; other experiments may be fine."""


# What stops the delivery of one experiment's runs and no other's.
OF_ONE_EXPERIMENT = (ArtifactAccessError, ArtifactUnavailableError)


@dataclass(frozen=True)
class Bucket:
    """What a kind of bucket needs here: the module of its driver, how to install it, how to name credentials."""

    module: str
    install: str
    credentials: str


_S3 = Bucket(
    "boto3",
    "pip install 'cryptoml[s3]'",
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), and MLFLOW_S3_ENDPOINT_URL for a server that "
    "is not Amazon's",
)
_AZURE_KEY = "set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCESS_KEY"
BUCKETS: Mapping[str, Bucket] = {
    "s3": _S3,
    "r2": _S3,
    "b2": _S3,
    "gs": Bucket(
        "google.cloud.storage",
        "pip install google-cloud-storage",
        "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key",
    ),
    "wasbs": Bucket("azure.storage.blob", "pip install azure-storage-blob azure-identity", _AZURE_KEY),
    "abfss": Bucket(
        "azure.storage.filedatalake", "pip install azure-storage-file-datalake azure-identity", _AZURE_KEY
    ),
    "sftp": Bucket("pysftp", "pip install pysftp", "set up a key for the host in ~/.ssh"),
    "hdfs": Bucket("pyarrow", "pip install pyarrow", "set MLFLOW_KERBEROS_TICKET_CACHE and MLFLOW_KERBEROS_USER"),
    "viewfs": Bucket("pyarrow", "pip install pyarrow", "set MLFLOW_KERBEROS_TICKET_CACHE and MLFLOW_KERBEROS_USER"),
    "ftp": Bucket("ftplib", "", ""),
}  # fmt: skip


def endpoint_hint(scheme: str) -> str:
    """What to check when a bucket does not answer."""
    return "check the network" + (" and MLFLOW_S3_ENDPOINT_URL" if scheme == "s3" else "")


def foreign_errors() -> tuple[type[Exception], ...]:
    """What drivers of buckets raise, of those that are loaded, and missing modules."""
    names = (
        ("botocore.exceptions", "BotoCoreError"),
        ("botocore.exceptions", "ClientError"),
        ("boto3.exceptions", "Boto3Error"),
        ("google.auth.exceptions", "GoogleAuthError"),
        ("google.api_core.exceptions", "GoogleAPIError"),
        ("azure.core.exceptions", "AzureError"),
        ("paramiko.ssh_exception", "SSHException"),
        ("pysftp.exceptions", "ConnectionException"),
    )
    loaded = [getattr(sys.modules.get(module), name, None) for module, name in names]
    return (ImportError, *(found for found in loaded if isinstance(found, type)))


def translated(error: Any, doing: str, bucket: Bucket | None = None) -> CryptomlError:
    """Translate a driver's error to a CryptomlError; `doing` starts its message."""
    hint = bucket.credentials if bucket else "cryptoml doctor mlflow-write"
    if isinstance(error, ImportError):
        return ConfigError(
            f"{doing}: the package {error.name or error} is not installed.",
            hint=bucket.install if bucket else f"pip install {error.name or 'it'}",
        )
    response = getattr(error, "response", None)
    details: Mapping[str, Any] = response.get("Error", {}) if isinstance(response, dict) else {}
    code, text = str(details.get("Code", "")), " ".join(str(error).split())[:300]
    if code in ("NoSuchBucket", "404"):
        return ConfigError(f"{doing}: there is no such bucket.", hint="create it, or correct CRYPTOML_ARTIFACT_ROOT")
    if code in ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"):
        return ArtifactAccessError(f"{doing}: it refuses these credentials ({code}).", hint=hint)
    kind = type(error).__name__
    if "Credential" in kind or "Auth" in kind:
        return ArtifactAccessError(f"{doing}: {text}", hint=hint)
    if "Connect" in kind or "Timeout" in kind or "SSL" in kind:
        return ArtifactUnavailableError(f"{doing}: it does not answer ({kind}).", hint=endpoint_hint("s3"))
    return ArtifactUnavailableError(f"{doing}: {text}", hint=hint)
