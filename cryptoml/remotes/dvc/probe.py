"""Check a DVC remote and find out why it does not provide a file; DVC reports 401, 403, 404 and 5xx alike."""

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
    """Return the remote with its own credentials, else with the DagsHub token if it is on DagsHub's host.

    Raises AccessError if a secret would be sent to a host that was configured in a less trusted place.
    """
    _check_local_secret(remote, settings)
    if remote.credentials or not remote.is_http or settings.dagshub_token is None:
        return remote
    if not remote.url.startswith(f"{settings.dagshub_host.rstrip('/')}/"):
        return remote
    token = settings.dagshub_secret()
    return replace(remote, user=settings.dagshub_username or token, password=token)


def _check_local_secret(remote: DvcRemote, settings: Settings) -> None:
    """Raise AccessError if a local secret would be sent to a host that only the committed config sets."""
    if remote.is_folder:
        return
    local, committed = own_options(settings.project_dir, remote.name)
    secret = next((name for name in SECRET_OPTIONS if local.get(name)), None)
    address = "endpointurl" if "endpointurl" in {**committed, **local} else "url"
    url = str(local.get(address) or committed.get(address) or "")
    if secret is None or address in local or url.startswith("s3:"):
        return
    token = settings.dagshub_token.get_secret_value() if settings.dagshub_token else None
    if local[secret] == token and remote.url.startswith(f"{settings.dagshub_host.rstrip('/')}/"):
        settings.check_dagshub_host("DAGSHUB_TOKEN")
        return
    check_host(
        url,
        secret=f"the {secret} of DVC remote {remote.name} in .dvc/config.local",
        places={ENVIRONMENT},
        named_by=".dvc/config, which is committed",
        origins=settings.origins,
        hint=f"if {url} is correct, set it beside the {secret}: dvc remote modify --local {remote.name} "
        f"{address} {url}",
    )


def probe(folder: Path, remote: DvcRemote, pin: Pin, *, timeout_s: float = TIMEOUT_S) -> None:
    """Check that the remote has the object of a pin.

    Raises DataError if it was never pushed, AccessError if the credentials are insufficient, UnavailableError if the
    server is unavailable, ConfigError if the DVC driver for this kind of remote is not installed.
    """
    object_path = ("" if pin.is_legacy else "files/md5/") + f"{pin.md5[:2]}/{pin.md5[2:]}"
    if remote.is_folder:
        if not Path(remote.url).is_dir():
            raise DataError(
                f"{remote.address}: the folder of DVC remote {remote.name} does not exist.",
                hint=f"mount it, or correct its address: dvc remote modify {remote.name} url FOLDER",
            )
        if not (Path(remote.url) / object_path).is_file():
            raise _never_pushed(remote, pin.path)
        return
    if not remote.is_http:
        with session(folder, remote) as at:
            if missing_objects(at, [pin]):
                raise _never_pushed(remote, pin.path)
        return
    status = status_of(remote, object_path, timeout_s=timeout_s)
    if status == 404:
        raise _never_pushed(remote, pin.path)
    if status is not None and status >= 300:
        raise dagshub_error(status, f"{remote.address}: could not check {pin.path}")


def check_access(remote: DvcRemote, *, timeout_s: float = TIMEOUT_S) -> None:
    """Raise if an http remote rejects the credentials or is unavailable, whatever files it has."""
    status = status_of(remote, f"files/md5/{NO_FILE[:2]}/{NO_FILE[2:]}", timeout_s=timeout_s)
    if status is not None and status >= 300 and status != 404:
        raise dagshub_error(status, f"{remote.address}: could not reach the DVC remote")


def check_writable(folder: Path, remote: DvcRemote) -> None:
    """Raise if the remote is not writable or its driver is missing, before anything is hashed or sent."""
    if remote.is_http:
        check_access(remote)
    if not remote.is_folder:
        with session(folder, remote) as at:
            if not remote.is_http:
                missing_objects(at, [Pin(Path("a first request"), NO_FILE)])
        return
    folder = Path(remote.url)
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir():
        raise ConfigError(
            f"{existing}: is a file, but DVC remote {remote.name} needs a folder.",
            hint=f"dvc remote modify {remote.name} url FOLDER",
        )
    if not is_writable(existing):
        raise AccessError(
            f"{existing}: DVC remote {remote.name} is not writable for this user.",
            hint=f"check the permissions: ls -ld '{existing}'",
        )


def status_of(remote: DvcRemote, path: str, *, timeout_s: float) -> int | None:
    """Return the HTTP status of a file on the remote; None if it is not an http remote."""
    if not remote.is_http:
        return None
    if remote.credentials:
        check_secret_address(remote.url)
    if "@" in remote.url.partition("//")[2].partition("/")[0]:
        raise ConfigError(
            f"DVC remote {remote.name}: its address contains a user name or a password.", hint="cryptoml setup-remotes"
        )
    return send_request("HEAD", f"{remote.url}/{path}", basic=remote.credentials, timeout_s=timeout_s).status


PUSH_HINT = "on the machine that has the file: cryptoml push-data"


def _never_pushed(remote: DvcRemote, path: Path) -> DataError:
    return DataError(f"{path}: was never pushed to DVC remote {remote.name} ({remote.address}).", hint=PUSH_HINT)
