"""Errors of DVC's remote drivers are translated to errors with an exit code and a hint."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.remotes.dvc.errors import dvc_os_error, remote_error
from cryptoml.remotes.dvc.session import LOGGERS, quiet

GS, AZURE = "gs://team-bucket/x", "azure://container/x"
GS_HINT, AZURE_HINT = "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_STORAGE_CONNECTION_STRING"


class HttpError(Exception):
    """An error of gcsfs: the status is in `code`."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class HttpResponseError(Exception):
    """An error of Azure's client: the status is in `status_code`."""

    def __init__(self, text: str, status_code: int) -> None:
        super().__init__(text)
        self.status_code = status_code


class DefaultCredentialsError(Exception):
    """An error of google.auth, recognized by its name."""


class ClientAuthenticationError(Exception):
    """An error of azure.identity, recognized by its name."""


@pytest.mark.parametrize(
    ("url", "error", "kind", "hint"),
    [
        (GS, HttpError("Anonymous caller does not have storage.objects.list access, 401", 401), AccessError, GS_HINT),
        (GS, OSError("Forbidden: b/team-bucket/o"), AccessError, "ask the owner"),
        (GS, DefaultCredentialsError("Your default credentials were not found."), AccessError, GS_HINT),
        (GS, HttpError("Service Unavailable, 503", 503), UnavailableError, "try again later"),
        (AZURE, HttpResponseError("This request is not authorized.", 403), AccessError, "ask the owner"),
        (AZURE, HttpResponseError("Server failed to authenticate the request.", 401), AccessError, AZURE_HINT),
        (AZURE, ClientAuthenticationError("DefaultAzureCredential failed"), AccessError, AZURE_HINT),
        (AZURE, ValueError("Must provide either a connection_string or account_name"), ConfigError, AZURE_HINT),
        (AZURE, HttpResponseError("The server is busy.", 500), UnavailableError, "try again later"),
    ],
)
def test_access_errors_of_google_and_azure(url: str, error: Exception, kind: type[CryptomlError], hint: str) -> None:
    known = remote_error(error, url=url, doing="list its files")
    assert type(known) is kind
    assert known.fact.startswith(f"{url}: could not list its files: ")
    assert hint in known.hint


def test_a_wrapped_access_error_is_recognized() -> None:
    error = OSError("the upload failed")
    error.__cause__ = HttpResponseError("not authorized", 403)
    assert isinstance(remote_error(error, url=AZURE, doing="write to it"), AccessError)


def test_a_sqlite_error_has_the_folder_of_the_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    monkeypatch.delenv("DVC_SITE_CACHE_DIR", raising=False)
    assert dvc_os_error(error, tmp_path).fact.startswith(f"{tmp_path}/.dvc/tmp: ")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", "/var/cache/dvc")
    assert dvc_os_error(error, tmp_path).fact.startswith("/var/cache/dvc: ")


def test_drivers_print_no_tracebacks_of_raised_errors(capfd: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        with quiet():
            for name in (*LOGGERS, "gcsfs.retry", "azure.identity"):
                logging.getLogger(name).error("Traceback (most recent call last)")
        assert capfd.readouterr() == ("", "")
    finally:
        logging.getLogger().removeHandler(handler)
