"""Translate DVC's errors: damaged configuration, lock, missing driver, missing permission."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from pathlib import Path

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.remotes.git_remote import without_secrets

# For each kind of remote: the package that DVC needs, and the hint for setting its credentials.
DRIVERS = {
    "s3": ("dvc-s3", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run: aws configure"),
    "gs": ("dvc-gs", "set GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login"),
    "azure": ("dvc-azure", "set AZURE_STORAGE_CONNECTION_STRING, or run: az login"),
    "ssh": ("dvc-ssh", "install an ssh key on that host: ssh-copy-id"),
    "webdav": ("dvc-webdav", "dvc remote modify --local NAME user USER, and the same for password"),
    "webdavs": ("dvc-webdav", "dvc remote modify --local NAME user USER, and the same for password"),
    "gdrive": ("dvc-gdrive", "dvc remote modify --local NAME gdrive_service_account_json_file_path FILE"),
    "hdfs": ("dvc-hdfs", "kinit"),
    "webhdfs": ("dvc-webhdfs", "dvc remote modify --local NAME token TOKEN"),
    "oss": ("dvc-oss", "set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET"),
    "http": ("dvc-http", "cryptoml setup-remotes"),
    "https": ("dvc-http", "cryptoml setup-remotes"),
}
ACCESS_ERRORS = re.compile(
    r"NoCredentials|PartialCredentials|CredentialRetrieval|DefaultCredentials|ClientAuthentication|"
    r"PermissionDenied|TokenRetrieval|UnauthorizedSSO|ProfileNotFound|HostKeyNotVerifiable|AuthError"
)


def first_line(error: BaseException) -> str:
    """Return the first line of the error's text, without a full stop and without credentials in addresses."""
    text = without_secrets(str(error).strip())
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def missing_driver(url: str, protocol: str) -> ConfigError:
    """Return the error for a remote whose DVC driver is not installed."""
    package = DRIVERS.get(protocol, (f"dvc-{protocol}", ""))[0]
    return ConfigError(f"DVC remote {without_secrets(url)}: {package} is not installed.", hint=f"pip install {package}")


def lock_error(root: Path) -> UnavailableError:
    """Return the error for a project that another DVC process has locked."""
    path = root / ".dvc" / "tmp" / "lock"
    text = path.read_bytes()[:64].decode(errors="replace") if path.is_file() else ""
    pid = re.fullmatch(r"\s*(\d+)\s*", text)
    holder = f"process {pid[1]}" if pid else "another process"
    return UnavailableError(
        f"{path}: {holder} holds the DVC lock.", hint="wait until that dvc command has ended, then try again"
    )


def damaged_config(root: Path, error: Exception) -> ConfigError:
    """Return the error for a configuration that DVC rejects, with the name of the file."""
    from dvc.config import RemoteConfigError

    for name in ("config", "config.local"):
        path = root / ".dvc" / name
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
        markers = [number for number, line in enumerate(lines, 1) if line.startswith(("<<<<<<<", "=======", ">>>>>>>"))]
        if markers:
            return ConfigError(
                f"{path}, line {markers[0]}: contains a merge conflict.",
                hint="resolve the conflict, then git add the file",
            )
    reason = re.sub(r"^config file error: ", "", first_line(error))
    if isinstance(error, RemoteConfigError):
        return ConfigError(f"{root / '.dvc' / 'config'}: {reason}.", hint="dvc remote list shows the remotes")
    for path in _config_files(root):
        reason_in_file = _config_error(path)
        if reason_in_file:
            return ConfigError(f"{path}: {reason_in_file}.", hint=f"correct {path}")
    return ConfigError(f"{root / '.dvc' / 'config'}: {reason}.", hint="correct .dvc/config")


def _config_files(root: Path) -> list[Path]:
    """Return the configuration files that DVC merges, those of the project first."""
    from dvc.dirs import global_config_dir, system_config_dir

    dvc_dir = root / ".dvc"
    return [
        dvc_dir / "config",
        dvc_dir / "config.local",
        Path(global_config_dir(), "config"),
        Path(system_config_dir(), "config"),
    ]


def _config_error(path: Path) -> str | None:
    """Return what is wrong with a configuration file; None if it is valid or does not exist."""
    from dvc.config import Config
    from dvc.exceptions import DvcException

    if not path.is_file():
        return None
    try:
        Config.validate(Config.load_file(str(path)))
    except DvcException as error:
        return first_line(error)
    return None


def dvc_os_error(error: Exception, root: Path) -> CryptomlError:
    """Translate an error of the operating system or SQLite in DVC, with the path."""
    number = getattr(error, "errno", None)
    # SQLite errors have no file name; DVC's databases are in the site cache.
    site = os.environ.get("DVC_SITE_CACHE_DIR") or root / ".dvc" / "tmp"
    where = Path(getattr(error, "filename", None) or (site if number is None else root / ".dvc"))
    text = str(getattr(error, "strerror", None) or error).lower()
    cache = shared_cache(root)
    if number in (errno.ENOSPC, errno.EDQUOT) or "disk is full" in text:
        return UnavailableError(f"{where}: the disk is full.", hint="free some space, then try again")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS) or "readonly" in text or "unable to open database" in text:
        hint = f"check the permissions: ls -ld '{where}'"
        if cache and (where.is_relative_to(cache) or cache.is_relative_to(where)):
            local = root / ".dvc" / "cache"
            return AccessError(
                f"{cache}: this user cannot access the DVC cache set in cache.dir: {text}.",
                hint=f"use a cache in the project: dvc cache dir --local '{local}'",
            )
        if not where.is_relative_to(root):
            hint = "check the permissions, or set DVC_SITE_CACHE_DIR to a folder of this user"
        return AccessError(f"{where}: not accessible to DVC: {text}.", hint=hint)
    if number in (errno.EXDEV, errno.EMLINK, errno.ENOTSUP):
        return ConfigError(f"{where}: DVC cannot link files there: {text}.", hint="dvc config cache.type copy")
    return UnavailableError(f"{where}: not accessible to DVC: {text}.", hint="run dvc status for details")


def shared_cache(root: Path) -> Path | None:
    """Return the cache outside the project that `cache.dir` sets; None if the cache is in the project."""
    from dvc.config import Config
    from dvc.exceptions import DvcException

    with suppress(DvcException, OSError):
        configured = Config(dvc_dir=str(root / ".dvc"), validate=False).get("cache", {}).get("dir")
        if configured:
            cache = Path(configured).resolve()
            return None if cache.is_relative_to(root.resolve()) else cache
    return None


def remote_error(error: BaseException, *, url: str, doing: str) -> CryptomlError:
    """Translate an error of a remote's driver: credentials, permission, missing bucket, connection, full disk."""
    from dvc_objects.fs.errors import AuthError, RemoteMissingDepsError
    from dvc_objects.fs.errors import ConfigError as OptionError

    if isinstance(error, CryptomlError):
        return error
    protocol = url.partition("://")[0] if "://" in url else ""
    credentials_hint = DRIVERS.get(protocol, ("", "set the remote's credentials"))[1]
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    names, text = " ".join(type(cause).__name__ for cause in chain), first_line(error)
    number = next((cause.errno for cause in chain if isinstance(cause, OSError) and cause.errno), None)
    if isinstance(error, RemoteMissingDepsError) or "is supported, but requires" in text:
        return missing_driver(url, protocol)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError(f"{url}: the disk is full; could not {doing}.", hint="free some space on it")
    if number == errno.EROFS:
        return AccessError(f"{url}: could not {doing}: read-only file system.", hint="mount it writable")
    status = next((number for cause in chain if (number := _http_status(cause))), None)
    if status == 403 or text.startswith("Forbidden") or "403" in text:
        return AccessError(
            f"{url}: could not {doing}: {text}.",
            hint=f"ask the owner of the storage for permission; for other credentials: {credentials_hint}",
        )
    if status == 401 or isinstance(error, (PermissionError, AuthError)) or ACCESS_ERRORS.search(names):
        hint = credentials_hint if protocol else f"check the permissions: ls -ld '{url}'"
        return AccessError(f"{url}: could not {doing}: {text}.", hint=hint)
    if isinstance(error, (OptionError, ValueError, NotImplementedError, ModuleNotFoundError)):
        return ConfigError(
            f"{url}: could not {doing}: {text}.", hint=f"correct the remote in .dvc/config; {credentials_hint}"
        )
    if isinstance(error, FileNotFoundError):
        return ConfigError(f"{url}: could not {doing}: {text}.", hint="check the address in .dvc/config")
    return UnavailableError(f"{url}: could not {doing}: {text}.", hint="check the network, or try again later")


def _http_status(error: BaseException) -> int | None:
    """Return the HTTP status of a storage error; gcsfs has it in `code`, Azure's client in `status_code`."""
    for name in ("status", "status_code", "code"):
        number = getattr(error, name, None)
        if isinstance(number, int) and 400 <= number < 600:
            return number
    return None
