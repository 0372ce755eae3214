"""Why a DVC remote does not give a file. DVC says "is your cache up to date?" to 401, 403, 404 and 5xx alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cryptoml.errors import AccessError, ConfigError, DataError
from cryptoml.remotes.dagshub import dagshub_error
from cryptoml.remotes.dvc.object_transfer import missing_objects, session
from cryptoml.remotes.dvc.pins import Pin
from cryptoml.remotes.dvc.project import DvcRemote, own_options
from cryptoml.remotes.http import check_secret_address, send_request
from cryptoml.settings import Settings
from cryptoml.system.environment import is_writable
from cryptoml.system.hosts import ENVIRONMENT, check_host

TIMEOUT_S = 10.0
NO_FILE = "0" * 32
SECRET_OPTIONS = ("password", "access_key_id", "secret_access_key", "session_token", "token", "sas_token")


def with_credentials(remote: DvcRemote, settings: Settings) -> DvcRemote:
    """The remote with its own credentials, else with the settings' token where it is at DagsHub's host.

    Raises AccessError where either would go to a host that is named elsewhere than the secret.
    """
    _check_own_secret(remote, settings)
    if remote.credentials or not remote.is_http or settings.dagshub_token is None:
        return remote
    if not remote.url.startswith(f"{settings.dagshub_host.rstrip('/')}/"):
        return remote
    token = settings.dagshub_secret()
    return replace(remote, user=settings.dagshub_username or token, password=token)


def _check_own_secret(remote: DvcRemote, settings: Settings) -> None:
    """A secret in a config that is not committed stays off a host that only the committed config names."""
    if remote.is_folder:
        return
    own, committed = own_options(settings.project_dir, remote.name)
    secret = next((name for name in SECRET_OPTIONS if own.get(name)), None)
    address = "endpointurl" if "endpointurl" in {**committed, **own} else "url"
    url = str(own.get(address) or committed.get(address) or "")
    if secret is None or address in own or url.startswith("s3:"):
        return
    token = settings.dagshub_token.get_secret_value() if settings.dagshub_token else None
    if own[secret] == token and remote.url.startswith(f"{settings.dagshub_host.rstrip('/')}/"):
        settings.check_dagshub_host("DAGSHUB_TOKEN")
        return
    check_host(
        url,
        secret=f"the {secret} of DVC remote {remote.name} in .dvc/config.local",
        places={ENVIRONMENT},
        named_by=".dvc/config, which is committed",
        origins=settings.origins,
        hint=f"if {url} is right, name it beside the {secret}: dvc remote modify --local {remote.name} {address} {url}",
    )


def probe(folder: Path, remote: DvcRemote, pin: Pin, *, timeout_s: float = TIMEOUT_S) -> None:
    """Ask the remote for the object of one pin; returns when it is there.

    Raises DataError when it was never pushed, AccessError when the credentials do not do, UnavailableError when
    the server is away, ConfigError when DVC lacks the driver for this kind of remote.
    """
    what = str(pin.path)
    place = ("" if pin.is_legacy else "files/md5/") + f"{pin.md5[:2]}/{pin.md5[2:]}"
    if remote.is_folder:
        if not Path(remote.url).is_dir():
            raise DataError(
                f"{remote.address}: the folder of DVC remote {remote.name} is not there.",
                hint=f"mount it, or correct its address: dvc remote modify {remote.name} url FOLDER",
            )
        if not (Path(remote.url) / place).is_file():
            raise _never_pushed(remote, what)
        return
    if not remote.is_http:
        with session(folder, remote) as at:
            if missing_objects(at, [pin]):
                raise _never_pushed(remote, what)
        return
    status = status_of(remote, place, timeout_s=timeout_s)
    if status == 404:
        raise _never_pushed(remote, what)
    if status is not None and status >= 300:
        raise dagshub_error(status, f"{remote.address}: could not look for {what}")


def check_access(remote: DvcRemote, *, timeout_s: float = TIMEOUT_S) -> None:
    """Raise where an http remote refuses these credentials or is away; which files it has does not matter."""
    status = status_of(remote, f"files/md5/{NO_FILE[:2]}/{NO_FILE[2:]}", timeout_s=timeout_s)
    if status is not None and status >= 300 and status != 404:
        raise dagshub_error(status, f"{remote.address}: could not reach the DVC remote")


def check_writable(folder: Path, remote: DvcRemote) -> None:
    """Raise, before anything is hashed or sent, where the remote cannot be written or its driver is missing."""
    if remote.is_http:
        check_access(remote)
    if not remote.is_folder:
        with session(folder, remote) as at:
            if not remote.is_http:
                missing_objects(at, [Pin(Path("a first request"), NO_FILE)])
        return
    place = Path(remote.url)
    there = next(one for one in (place, *place.parents) if one.exists())
    if not there.is_dir():
        raise ConfigError(
            f"{there}: is a file, and DVC remote {remote.name} needs a folder there.",
            hint=f"dvc remote modify {remote.name} url FOLDER",
        )
    if not is_writable(there):
        raise AccessError(
            f"{there}: DVC remote {remote.name} cannot be written by this user.",
            hint=f"make it writable: ls -ld '{there}'",
        )


def status_of(remote: DvcRemote, place: str, *, timeout_s: float) -> int | None:
    """The HTTP status of a file of the remote; None where the remote does not speak http."""
    if not remote.is_http:
        return None
    if remote.credentials:
        check_secret_address(remote.url)
    if "@" in remote.url.partition("//")[2].partition("/")[0]:
        raise ConfigError(
            f"DVC remote {remote.name}: its address holds a user name or a password.", hint="cryptoml setup-remotes"
        )
    return send_request("HEAD", f"{remote.url}/{place}", basic=remote.credentials, timeout_s=timeout_s).status


PUSH_HINT = "who has the file runs: cryptoml push-data"


def _never_pushed(remote: DvcRemote, what: str) -> DataError:
    return DataError(f"{what}: was never pushed to DVC remote {remote.name} ({remote.address}).", hint=PUSH_HINT)
