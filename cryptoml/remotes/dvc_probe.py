"""Why a DVC remote does not give a file. DVC says "is your cache up to date?" to 401, 403, 404 and 5xx alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cryptoml.errors import ConfigError, DataError
from cryptoml.remotes.dagshub import refusal
from cryptoml.remotes.dvc_project import DvcRemote
from cryptoml.remotes.http import ask, check_secret_address
from cryptoml.settings import Settings

TIMEOUT_S = 10.0
NO_FILE = "0" * 32


def with_credentials(remote: DvcRemote, settings: Settings) -> DvcRemote:
    """The remote with its own credentials, else with the settings' token where it is at DagsHub's host."""
    if remote.credentials or not remote.is_http or settings.dagshub_token is None:
        return remote
    if not remote.url.startswith(f"{settings.dagshub_host.rstrip('/')}/"):
        return remote
    token = settings.dagshub_token.get_secret_value()
    return replace(remote, user=settings.dagshub_username or token, password=token)


def probe(remote: DvcRemote, md5: str, *, what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Ask the remote for one object; returns when it is there.

    Raises DataError when it was never pushed, AccessError when the credentials do not do, UnavailableError when
    the server is away. Remotes that are neither http nor a folder are left to DVC.
    """
    place = f"files/md5/{md5[:2]}/{md5[2:]}"
    if remote.is_folder:
        if not Path(remote.url).is_dir():
            raise DataError(f"{remote.url}: the folder of DVC remote {remote.name} is not there.", mend=PUSH_MEND)
        if not (Path(remote.url) / place).is_file():
            raise _never_pushed(remote, what)
        return
    status = status_of(remote, place, timeout_s=timeout_s)
    if status == 404:
        raise _never_pushed(remote, what)
    if status is not None and status >= 300:
        raise refusal(status, f"{remote.url}: could not look for {what}")


def check_access(remote: DvcRemote, *, timeout_s: float = TIMEOUT_S) -> None:
    """Raise where an http remote refuses these credentials or is away; which files it has does not matter."""
    status = status_of(remote, f"files/md5/{NO_FILE[:2]}/{NO_FILE[2:]}", timeout_s=timeout_s)
    if status is not None and status >= 300 and status != 404:
        raise refusal(status, f"{remote.url}: could not reach the DVC remote")


def status_of(remote: DvcRemote, place: str, *, timeout_s: float) -> int | None:
    """The HTTP status of a file of the remote; None where the remote does not speak http."""
    if not remote.is_http:
        return None
    if remote.credentials:
        check_secret_address(remote.url)
    if "@" in remote.url.partition("//")[2].partition("/")[0]:
        raise ConfigError(
            f"DVC remote {remote.name}: its address holds a user name or a password.", mend="cryptoml setup-remotes"
        )
    return ask("HEAD", f"{remote.url}/{place}", basic=remote.credentials, timeout_s=timeout_s).status


PUSH_MEND = "who has the file runs: cryptoml push-data"


def _never_pushed(remote: DvcRemote, what: str) -> DataError:
    return DataError(f"{what}: was never pushed to DVC remote {remote.name} ({remote.url}).", mend=PUSH_MEND)
